import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from tests.support import warm_aws
from video_intake.media import inspector


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


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def valid(project):
    schema = json.loads((project / "docs/result.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).validate
