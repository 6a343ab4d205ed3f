"""One stack on a local cloud whose retries wait as long as Lambda's; `World.settle` advances the clock."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from scripts.stack import Source
from tests.support import existing
from tests.support.world import MINUTE, World
from tools.localcloud.deployment import deploy

EXISTING = Source("videos-from-before", "incoming/")


@pytest.fixture(scope="package")
def soak(request) -> bool:
    """Whether to run in full size."""
    return request.config.getoption("--soak")


@pytest.fixture(scope="package")
def stack(local_cloud, request, soak, warm_cli, tmp_path_factory) -> Iterator[World]:
    if request.config.getoption("--stack"):
        pytest.skip("failures cannot be injected in a real account")
    with local_cloud(tmp_path_factory.mktemp("world"), retry_delay=MINUTE) as cloud:
        options = ["--parameter", f"ReservedConcurrency={10 if soak else 4}", "--parameter", "LogRetentionInDays=1"]
        options += ["--parameter", f"Storyboard={'enabled' if soak else 'disabled'}"]  # more calls to fail
        existing.create(cloud, EXISTING)
        options += existing.options(EXISTING)
        yield World(cloud, deploy(cloud, "world", "--email", "you@example.com", *options, tools=warm_cli))


@pytest.fixture
def world(stack) -> Iterator[World]:
    """The stack without injected failures, before and after the test."""
    stack.well()
    yield stack
    stack.well()


@pytest.fixture
def report(soak, capsys) -> Callable[[str], None]:
    """Prints a figure in full-size runs."""

    def tell(figure: str) -> None:
        with capsys.disabled() if soak else contextlib.nullcontext():
            print(f"\n{figure}")

    return tell
