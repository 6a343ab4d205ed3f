"""One stack on a local cloud, deployed with nothing but its defaults."""

import os
from collections.abc import Iterator

import pytest

from tests.support.secured import Secured
from tests.support.world import MINUTE
from tools import localcloud
from tools.localcloud.deployment import deploy


@pytest.fixture(scope="session")
def stack(request, warm_cli, tmp_path_factory) -> Iterator[Secured]:
    if request.config.getoption("--stack"):
        pytest.skip("these tests change the parameters of their stack")
    before = dict(os.environ)
    with localcloud.running(tmp_path_factory.mktemp("secured"), retry_delay=MINUTE) as cloud:
        yield Secured(cloud, deploy(cloud, "secured", tools=warm_cli))
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def everything(stack: Secured) -> Iterator[Secured]:
    """The stack with everything switched on; afterwards with its defaults again."""
    before = stack.parameters()
    assert stack.change(**stack.everything) == "UPDATE_COMPLETE"
    yield stack
    assert stack.change(**before) == "UPDATE_COMPLETE"
