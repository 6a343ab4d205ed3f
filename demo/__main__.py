"""Run the whole pipeline on this machine: the real template, deploy script and package, on a local cloud.

Exit status: 0 if every upload has a result, 1 if something went wrong, 2 if a file cannot be uploaded, 130 if it was
interrupted.
"""

import argparse
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tools import environment
from video_intake.uploads import SUFFIXES

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    """Runs the demo and returns the exit status."""
    signal.signal(signal.SIGINT, _leave)
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="default: generated samples, good and bad")
    parser.add_argument("--state", type=Path, metavar="DIR", default=ROOT / ".localcloud", help="default: .localcloud")
    parser.add_argument("--output", type=Path, metavar="DIR", default=ROOT / "demo-output", help="default: demo-output")
    parser.add_argument("--tools", type=Path, metavar="DIR", default=Path(sys.executable).parent,
                        help="folder of the aws command; default: this Python's")  # fmt: skip
    given = parser.parse_args(arguments)
    if refused := unusable(given.videos):
        print(f"demo: {refused}", file=sys.stderr)
        return 2
    environment.enter()
    from demo import showcase  # a second of imports

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return showcase.run(given.videos, given.state, given.output, given.tools)
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130


def _leave(*_: Any) -> None:
    """Exits immediately, before anything was started that needs cleaning up."""
    os.write(sys.stderr.fileno(), b"\ndemo: interrupted\n")
    os._exit(130)


def unusable(videos: list[str]) -> str | None:
    """Why these files cannot be uploaded; None if they can."""
    for name in videos:
        if Path(name).is_dir():
            return f"{name} is a folder. Pass the videos in it instead."
        if not Path(name).is_file():
            return f"{name} does not exist"
        if not name.endswith(SUFFIXES):
            return f"{name}: only names that end in {' '.join(SUFFIXES)} are processed. Rename it."
    keys = Counter(Path(name).name for name in videos)
    twice = [key for key, times in keys.items() if times > 1]
    return f"several files are named {twice[0]}, which would be their key in the bucket. Rename one." if twice else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
