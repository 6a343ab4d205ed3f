"""One local cloud for everything deployed and removed by these tests, with the scripts in a copy of the project."""

import pytest

from tests.support.deployed import Deployed
from tests.support.scripts import Ended, Scripts, project


@pytest.fixture(scope="package")
def scripts(local_cloud, warm_cli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    with local_cloud(folder / "state", retry_delay=0.1) as cloud:
        yield Scripts(Deployed(cloud, folder, warm_cli, {}), project(folder / "a project"), warm_cli)


@pytest.fixture(scope="package")
def made(scripts) -> Ended:
    """The first deployment, which most tests continue with, and its stack. Each leaves it up to date."""
    first = scripts.deploy("--email", "unread@example.com", "--tag", "CostCenter=4711")
    assert first.status == 0, first.told
    first.stack = scripts.stack("video-intake-made")
    return first
