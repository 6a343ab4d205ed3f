import gc
import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import settings

from tests.support import groups, shelf, warm
from tests.support.listener import Listener
from tools import environment, localcloud, videos
from tools.localcloud import fast_imports

settings.register_profile("untimed", deadline=None)  # the speed of the machine must not matter
settings.load_profile("untimed")


def pytest_addoption(parser):
    parser.addoption("--stack", help="run the integration tests against this deployed stack, not the local cloud")
    parser.addoption(
        "--soak", action="store_true", help="run the reliability tests in full size, which takes tens of minutes"
    )
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run files and tests of each group in another order")


def pytest_configure(config):
    if not config.getoption("--stack"):  # a real stack, for which the developer's credentials are needed
        environment.enter()
    videos.shelf = shelf.folder()
    fast_imports.share_loader()


def pytest_collection_modifyitems(config, items):
    """Orders tests by group. Shuffling affects the files of a group and the tests of a file, so fixtures are created
    once."""
    if config.getoption("--stack"):  # on AWS, CloudWatch may take a quarter of an hour
        for item in items:
            item.add_marker(pytest.mark.timeout(1800))
    order: dict[Any, float] = {}
    if (seed := config.getoption("--shuffle")) is not None:
        numbers = random.Random(seed)
        order = {item: numbers.random() for item in items} | {item.path: numbers.random() for item in items}
    names = dict.fromkeys(groups.group(item.nodeid) for item in items)
    places = {name: place for place, name in enumerate(sorted(names, key=groups.rank))}
    items.sort(key=lambda item: (places[groups.group(item.nodeid)], order.get(item.path, 0), order.get(item, 0)))


def pytest_collection_finish():
    """Excludes pytest and botocore from the garbage collection at the end of each inspection."""
    gc.collect()
    gc.freeze()
    gc.freeze = lambda: None  # the function's, at each cold start in this process, would keep the garbage of tests


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """As many processes as cores (`logical`), or two more (`auto`), because many tests wait for their local cloud."""
    return (os.process_cpu_count() or 1) + (2 if config.option.numprocesses == "auto" else 0)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return groups.scheduling(config, log)


@pytest.fixture(scope="session")
def warm_cli() -> Path:
    """A folder with an `aws` command that starts immediately."""
    return warm.command("aws").parent


@pytest.fixture(scope="session")
def local_cloud(tmp_path_factory) -> Callable[..., AbstractContextManager[localcloud.LocalCloud]]:
    """tools.localcloud.running, with a server that starts immediately, and packages that are unzipped once."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return partial(
        localcloud.running, program=[str(warm.command("localcloud")), "--packages", str(shared / "packages")]
    )


@pytest.fixture
def listener() -> Iterator[Listener]:
    trap = Listener()
    yield trap
    trap.close()


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def valid(project):
    schema = json.loads((project / "docs/result.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).validate
