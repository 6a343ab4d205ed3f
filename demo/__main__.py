"""The whole pipeline on this machine: the real template, deploy script and package, on a cloud of its own.

    python -m demo [VIDEO ...]

Without arguments sample videos are made and uploaded; otherwise the files named. Exit status: 0 when every
upload came to its outcome, 1 when something went wrong, 2 when a file cannot be uploaded.
"""

import json
import shutil
import sys
import time
from pathlib import Path

from scripts import terminal
from scripts.stack import Overdue, Stack, Uploaded, wait_for
from tools import localcloud
from tools.localcloud import letters
from tools.localcloud.deployment import ROOT, DeploymentFailed, deploy
from tools.videos import samples
from video_intake.document import Result
from video_intake.uploads import SUFFIXES

STATE = ROOT / ".localcloud"
OUTPUT = ROOT / "demo-output"
ENVIRONMENT = "demo"
OUTCOME_SECONDS = 120  # far more than any video takes here: three tries, one after another


class Trouble(Exception):
    """Something a person must know, in a sentence."""


def main(arguments: list[str]) -> int:
    """Runs the demonstration and returns the exit status."""
    for name in arguments:
        if not Path(name).is_file():
            print(f"demo: there is no file {name}", file=sys.stderr)
            return 2
        if not name.endswith(SUFFIXES):
            print(f"demo: {name}: S3 only announces names that end in {' '.join(SUFFIXES)}", file=sys.stderr)
            return 2
    progress = terminal.Progress()
    started = time.monotonic()
    try:
        with localcloud.running(STATE) as cloud:
            progress("Deploying template.yaml by scripts/deploy.sh ...")
            intake = deploy(cloud, ENVIRONMENT, "--email", "you@example.com")
            expected = upload(intake, arguments, progress)
            results = outcomes(intake, list(expected), progress)
            progress.clear()
            show(intake, results, cloud.mailbox)
        check(results, expected)
    except (Trouble, Overdue, DeploymentFailed, localcloud.LocalCloudError) as trouble:
        progress.clear()
        print(f"demo: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress.clear()
        print("demo: interrupted", file=sys.stderr)
        return 130
    print(f"\nAll {len(results)} uploads came to their outcome. {time.monotonic() - started:.0f} s in all.")
    return 0


def upload(intake: Stack, files: list[str], progress: terminal.Progress) -> dict[Uploaded, str | None]:
    """Uploads the files, or else the samples; returns the verdict each must come to, None where it is not known."""
    if files:
        uploaded: dict[Uploaded, str | None] = {}
        for number, name in enumerate(files, 1):
            progress(f"Uploading {number} of {len(files)}: {Path(name).name} ...")
            uploaded[intake.upload_file(Path(name).name, name)] = None
        return uploaded
    expected: dict[Uploaded, str | None] = {}
    all_samples = samples()
    for number, sample in enumerate(all_samples, 1):
        progress(f"Making and uploading {number} of {len(all_samples)}: {sample.key} ...")
        expected[intake.upload(sample.key, sample.content())] = sample.verdict
    return expected


def outcomes(intake: Stack, uploaded: list[Uploaded], progress: terminal.Progress) -> list[Result]:
    """Waits until every upload has its result, or is known to have failed."""
    results: dict[Uploaded, Result] = {}

    def complete() -> bool:
        for one in uploaded:
            if one not in results and (result := intake.result(one)):
                results[one] = result
                progress(f"{len(results)} of {len(uploaded)} outcomes ...")
        if failed := intake.failed_events():
            log = f"see {STATE.name}/server.log"
            raise Trouble(f"{failed} event(s) could not be processed and wait in the queue of failed events; {log}")
        return len(results) == len(uploaded)

    wait_for("every outcome", complete, OUTCOME_SECONDS)
    wait_for("the metrics", lambda: _counted(intake) == len(uploaded) or None, OUTCOME_SECONDS)
    return [results[one] for one in uploaded]


def show(intake: Stack, results: list[Result], mailbox: Path) -> None:
    """Prints everything that AWS would show, and saves results and posters."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    for result in results:
        poster = result.get("poster")
        for key in [result["resultKey"], *([poster["key"]] if poster else [])]:
            target = OUTPUT / Path(key).relative_to("results")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(intake.read(key) or b"")
    print(terminal.table(terminal.HEADINGS, [terminal.row(result) for result in results]))
    print("\nE-mails to the subscriber (failures only, the default):\n")
    mails = [message for message in letters.letters(mailbox) if not letters.is_all_clear(message)]
    print("\n\n".join(letters.letter(message) for message in mails) or "  none")
    print("\nMetrics (CloudWatch, namespace VideoIntake):\n")
    for name, statistic, value in intake.metrics(ENVIRONMENT):
        print(f"  {name:22}{statistic:9}{'none' if value is None else f'{value:.4g}'}")
    print("\nAlarms:\n")
    for alarm in intake.alarms():
        print(f"  {alarm['StateValue']:19}{alarm['AlarmName']}")
    posters = sum(1 for result in results if result.get("poster"))
    print(f"\n{len(results)} results and {posters} posters lie under {OUTPUT.relative_to(ROOT)}/")


def check(results: list[Result], expected: dict[Uploaded, str | None]) -> None:
    """Holds every sample against the verdict it must come to."""
    for result, verdict in zip(results, expected.values(), strict=True):
        actual = result["failure"]["reason"] if "failure" in result else "success"
        if verdict not in (None, actual):
            raise Trouble(f"{result['source']['key']} was judged {json.dumps(actual)} instead of {json.dumps(verdict)}")


def _counted(intake: Stack) -> float | None:
    return next(value for name, _, value in intake.metrics(ENVIRONMENT) if name == "VideosProcessed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
