"""Groups of tests that run in one process: those that share a stack, and those in the same file."""

from pathlib import PurePosixPath
from typing import Any, Final

from xdist.scheduler import LoadScopeScheduling

STACKS: Final = {"integration", "localcloud", "reliability", "security"}  # folders whose tests share a stack
# Files in these folders that need no stack, or have their own
APART: Final = {
    "test_any_order.py", "test_running.py", "test_scripts_calls.py", "test_troubled_decoder.py", "test_watch.py",
}  # fmt: skip
TOGETHER: Final = {
    "test_deploying.py": "deploying", "test_destroying.py": "deploying",
    "test_burst.py": "load", "test_hostile_uploads.py": "load", "test_killers.py": "load",
}  # fmt: skip
# The longest groups start first, so that none is still running when all others have ended
LONGEST: Final = (
    "reliability", "load", "deploying", "tests/scripts/test_operations.py", "integration",
    "tests/scripts/test_existing_bucket.py", "security", "tests/scripts/test_demo.py",
    "tests/scripts/test_make_cloud.py", "localcloud", "tests/hostile/test_decoder.py", "tests/hostile/test_files.py",
    "tests/unit/test_handler.py", "tests/scripts/test_environment.py", "tests/reliability/test_any_order.py",
    "tests/security/test_scripts_calls.py", "tests/integration/test_watch.py", "tests/localcloud/test_running.py",
)  # fmt: skip


def group(nodeid: str) -> str:
    """The group of a test, by its pytest name."""
    path = PurePosixPath(nodeid.partition("::")[0])
    folder, file = path.parent.name, path.name
    if folder == "truth":  # each video is encoded once, and its tests do not depend on others
        return nodeid
    return TOGETHER.get(file) or (folder if folder in STACKS and file not in APART else str(path))


def rank(name: str) -> int:
    """The position of a group in the order of starts."""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


class Scheduling(LoadScopeScheduling):
    """xdist's scheduler with our groups. Its own mark (`xdist_group`) has no effect with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def scheduling(config: Any, log: Any) -> Scheduling:
    """Implements xdist's hook for schedulers."""
    config.option.loadscopereorder = False  # sorting by the number of tests is not useful here
    return Scheduling(config, log)
