"""One stack on a local cloud, deployed with its defaults."""

from collections.abc import Iterator

import pytest

from tests.support.secured import Secured
from tests.support.world import MINUTE
from tools.localcloud.deployment import deploy


@pytest.fixture(scope="package")
def stack(local_cloud, request, warm_cli, tmp_path_factory) -> Iterator[Secured]:
    if request.config.getoption("--stack"):
        pytest.skip("these tests change the parameters of their stack")
    with local_cloud(tmp_path_factory.mktemp("secured"), retry_delay=MINUTE) as cloud:
        yield Secured(cloud, deploy(cloud, "secured", tools=warm_cli))


@pytest.fixture(scope="module")
def everything(stack: Secured) -> Iterator[Secured]:
    """The stack with everything enabled; afterwards with its defaults again."""
    before = stack.parameters()
    assert stack.change(**stack.everything) == "UPDATE_COMPLETE"
    yield stack
    assert stack.change(**before) == "UPDATE_COMPLETE"
