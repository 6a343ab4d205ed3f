from collections.abc import Iterator
from pathlib import Path

import pytest

import inspector
from tests import warm_aws


def pytest_addoption(parser):
    parser.addoption("--stack", help="run the integration tests against this deployed stack, not the local cloud")
    parser.addoption("--soak", action="store_true", help="the reliability tests in their full sizes: tens of minutes")


@pytest.fixture(autouse=True, scope="session")
def room():
    """The ceiling counts the whole process, and this one holds a test run. In tests/watched.py it is the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspector, "MAX_MEMORY", 8 << 30)
        yield


@pytest.fixture(scope="session")
def warm_cli() -> Iterator[Path]:
    """A folder with the AWS CLI, for those who call it often."""
    with warm_aws.folder() as folder:
        yield folder
