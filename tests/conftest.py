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

settings.register_profile("untimed", deadline=None)  # how fast a machine is proves nothing
settings.load_profile("untimed")


def pytest_addoption(parser):
    parser.addoption("--stack", help="run the integration tests against this deployed stack, not the local cloud")
    parser.addoption("--soak", action="store_true", help="the reliability tests in their full sizes: tens of minutes")
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run files and tests of each group in another order")


def pytest_configure(config):
    if not config.getoption("--stack"):  # which is found by the developer's own credentials
        environment.enter()
    videos.shelf = shelf.folder()
    warm.share_loader()


def pytest_collection_modifyitems(config, items):
    """Group by group. Shuffled are the files of a group, and the tests of a file, whose fixtures thus are made once."""
    if config.getoption("--stack"):  # where CloudWatch may take a quarter of an hour
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
    """Each inspection ends with a collection of garbage, which need not look at pytest and botocore every time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One more than there are cores: a test waits for its local cloud half of the time."""
    return (os.process_cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return groups.scheduling(config, log)


@pytest.fixture(scope="session")
def warm_cli() -> Path:
    """A folder with the command `aws`, which begins at once."""
    return warm.command("aws").parent


@pytest.fixture(scope="session")
def local_cloud() -> Callable[..., AbstractContextManager[localcloud.LocalCloud]]:
    """tools.localcloud.running, which begins at once."""
    return partial(localcloud.running, program=[str(warm.command("localcloud"))])


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
