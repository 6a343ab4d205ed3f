"""Which tests run in one process, one after another: those that share a stack, and those of any one file."""

from pathlib import PurePosixPath
from typing import Any, Final

from xdist.scheduler import LoadScopeScheduling

STACKS: Final = {"integration", "localcloud", "reliability", "security"}  # folders whose tests share one
# Files in these that need none, or have their own
APART: Final = {"test_any_order.py", "test_running.py", "test_scripts_calls.py", "test_watch.py"}
TOGETHER: Final = {"test_deploying.py": "deploying", "test_destroying.py": "deploying"}
# What takes longest begins first: it would otherwise run on when everything else has ended
LONGEST: Final = ("reliability", "test_operations.py", "security", "integration", "test_watch.py", "localcloud")


def group(nodeid: str) -> str:
    """Of a test, by the name that pytest gives it."""
    path = PurePosixPath(nodeid.partition("::")[0])
    folder, file = path.parent.name, path.name
    if folder == "truth":  # each film is encoded once, and its tests need nothing of others
        return nodeid
    return folder if folder in STACKS and file not in APART else TOGETHER.get(file, str(path))


def rank(name: str) -> int:
    """The place of a group in the order in which they begin."""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


class Scheduling(LoadScopeScheduling):
    """xdist's own, by our groups. Its mark for them (`xdist_group`) has no effect with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def scheduling(config: Any, log: Any) -> Scheduling:
    """For xdist's hook of that purpose."""
    config.option.loadscopereorder = False  # by the number of tests, which says little here
    return Scheduling(config, log)
