"""Starting and ending the local cloud."""

import socket
import subprocess
import sys

import pytest

from tools import localcloud


def test_a_port_in_use_is_reported_in_one_sentence(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "tools.localcloud", "--state", str(tmp_path), "--port", str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 2
        assert ended.stderr == f"localcloud: cannot listen on 127.0.0.1 port {port}: Address already in use.\n"
        with pytest.raises(localcloud.Occupied, match="already in use"), localcloud.running(tmp_path, port):
            pass


def test_a_state_folder_in_use_or_with_other_files_is_not_changed(tmp_path):
    (tmp_path / "theirs" / "mail").mkdir(parents=True)
    with pytest.raises(localcloud.LocalCloudError, match="contains other files"):
        localcloud.running(tmp_path / "theirs").__enter__()
    with localcloud.running(tmp_path / "ours"), pytest.raises(localcloud.LocalCloudError, match="is in use"):
        localcloud.running(tmp_path / "ours").__enter__()


def test_it_ends_with_its_parent_process_and_leaves_no_child(tmp_path):
    command = [sys.executable, "-m", "tools.localcloud", "--state", str(tmp_path), "--until-stdin-closes"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert b"endpoint" in process.stdout.readline()
    process.communicate(timeout=120)  # closes its stdin, as the death of a parent does
    assert process.returncode == 0


def test_a_crash_is_distinguished_from_a_port_in_use(tmp_path, monkeypatch):
    broken = tmp_path / "broken" / "moto"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('moto does not work here')")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    with pytest.raises(localcloud.LocalCloudError, match="moto does not work here") as crash:
        localcloud.running(tmp_path / "state").__enter__()
    assert not isinstance(crash.value, localcloud.Occupied)


def test_an_unexpected_end_is_noticed(tmp_path):
    with localcloud.running(tmp_path) as cloud:
        cloud.check()
        cloud.process.kill()
        cloud.process.wait(120)
        with pytest.raises(localcloud.LocalCloudError, match="ended unexpectedly"):
            cloud.check()
