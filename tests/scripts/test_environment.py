"""The developer's environment does not affect the local cloud or the tests, which call nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.stack import wait_for
from tests.support.developer import developers
from tests.support.scripts import project
from tools import environment, localcloud
from tools.localcloud.deployment import deploy

ROOT = Path(__file__).parents[2]
SECONDS = 240


def other_cloud(url: str) -> dict[str, str]:
    """The environment after the lines that `make cloud` prints."""
    return localcloud.environ_for(url, "AKIAANOTHERCLOUD")


def config_file(url: str, folder: Path) -> dict[str, str]:
    file = folder / "config"
    file.write_text(f"[default]\nendpoint_url = {url}\ncredential_process = false\n")
    return {"AWS_CONFIG_FILE": str(file), "AWS_SHARED_CREDENTIALS_FILE": str(file)}


def started_by(folder: Path) -> dict[str, str]:
    """Startup files of bash and Python."""
    (folder / "bash").write_text("exit 3\n")
    (folder / "boto3.py").write_text("raise SystemExit(3)\n")
    return {"BASH_ENV": str(folder / "bash"), "PYTHONPATH": str(folder)}


Setting = Callable[[str, Path], dict[str, str]]
SETTINGS: dict[str, Setting] = {
    "what people set": lambda url, _: developers(url),
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": lambda *_: {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    "a config file": config_file,
    "what starts first": lambda _, folder: started_by(folder),
}


@pytest.fixture(scope="module")
def cloud(local_cloud, tmp_path_factory) -> Iterator[localcloud.LocalCloud]:
    with local_cloud(tmp_path_factory.mktemp("hermetic")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    return project(tmp_path_factory.mktemp("copy") / "a project")


@pytest.fixture
def process() -> Iterator[None]:
    """Restores this process's environment afterwards."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_deployment_uses_only_the_local_cloud(cloud, copy, warm_cli, listener, tmp_path, setting):
    os.environ.update(SETTINGS[setting](listener.url, tmp_path))
    environment.enter()
    intake = deploy(cloud, "hermetic", tools=warm_cli, project=copy)
    assert intake.failed_events() == 0
    assert intake.alarms()
    assert not listener.called()


def test_without_cleaning_the_listener_is_called(listener):
    code = "import boto3; boto3.client('sts').get_caller_identity()"
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | other_cloud(listener.url)) as asking:
        try:
            assert wait_for("a call", listener.called, SECONDS)
        finally:
            asking.kill()


def test_the_unit_tests_pass_and_call_no_one(listener):
    tests = ["tests/unit/test_handler.py", "-k", "record"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environ = os.environ | other_cloud(listener.url)
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, ended.stdout
    assert not listener.called()


def test_proxies_are_used_for_pip_but_not_for_this_machine():
    cleaned = environment.clean({"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "example.com", "PATH": "/bin"})
    assert cleaned["HTTPS_PROXY"] == "http://proxy:3128"
    assert cleaned["PATH"] == "/bin"
    for name in ("NO_PROXY", "no_proxy"):
        assert cleaned[name].split(",") == ["127.0.0.1", "localhost", "example.com"]
