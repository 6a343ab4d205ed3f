"""Groups of tests that run in one process: those that share a stack, and those in the same file."""

from pathlib import PurePosixPath
from typing import Any, Final

from xdist.scheduler import LoadScopeScheduling

STACKS: Final = {"integration", "localcloud", "reliability", "security"}  # folders whose tests share one
# Files in them that need no stack or have their own
APART: Final = {"test_any_order.py", "test_running.py", "test_scripts_calls.py", "test_watch.py"}
TOGETHER: Final = {"test_deploying.py": "deploying", "test_destroying.py": "deploying"}
# The slowest begin first, because they would otherwise run last
LONGEST: Final = ("reliability", "test_operations.py", "security", "integration", "test_watch.py", "localcloud")


def group(nodeid: str) -> str:
    """The group of a test, by its pytest name."""
    path = PurePosixPath(nodeid.partition("::")[0])
    folder, file = path.parent.name, path.name
    if folder == "truth":  # each video is encoded once, and its tests do not depend on others
        return nodeid
    return folder if folder in STACKS and file not in APART else TOGETHER.get(file, str(path))


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
