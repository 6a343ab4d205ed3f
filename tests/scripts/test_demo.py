"""`make demo` as a user runs it: its output, its errors, and that it calls only the local cloud."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.developer import developers
from tools.videos import cut, video

ROOT = Path(__file__).parents[2]
SECONDS = 240


def demo(*arguments: object, project: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=project, env=os.environ | environ, capture_output=True, text=True, timeout=SECONDS
    )
    assert "demo/" not in ended.stderr, f"a traceback in the demo's code:\n{ended.stderr}"
    return ended


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["no such.mov"], "no such.mov does not exist"),
        (["a folder.mov"], " is a folder. Pass the videos in it instead."),
        (["one.mov", "a folder.mov/one.mov"], "several files are named one.mov"),
        (["clip.Mp4"], "only names that end in .mp4 .MP4 "),
        (["notes.txt"], "only names that end in .mp4 .MP4 "),
    ],
)
def test_files_that_cannot_be_uploaded_are_reported_immediately(tmp_path, names, sentence):
    (tmp_path / "a folder.mov").mkdir()
    for name in ("one.mov", "a folder.mov/one.mov", "clip.Mp4", "notes.txt"):
        (tmp_path / name).touch()
    ended = demo(*[tmp_path / name for name in names])
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("demo: ")
    assert sentence in line


def test_ctrl_c_during_the_imports_prints_one_line(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "demo", "--state", str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "botocore" in line:  # the first of many
                process.send_signal(signal.SIGINT)
                break
        told = process.stderr.read().splitlines()
    assert process.returncode == 130
    assert [line for line in told if not line.startswith("import time:")] == ["", "demo: interrupted"]


def test_your_own_videos_are_processed_regardless_of_your_environment(tmp_path, listener, warm_cli):
    for name, content in (("one.mov", video("mov", seconds=0.2)), ("bad.mov", cut(video("mov", seconds=0.2)))):
        (tmp_path / name).write_bytes(content)
    places = ["--tools", warm_cli, "--state", tmp_path / "state", "--output", tmp_path / "output"]
    ended = demo(*places, tmp_path / "one.mov", tmp_path / "bad.mov", **developers(listener.url))
    assert ended.returncode == 0, ended.stderr
    assert not listener.called()
    assert "Subject: Video rejected (truncated): bad.mov" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("All 2 uploads have a result (")
    assert len(list((tmp_path / "output").rglob("result.json"))) == 2
    assert len(list((tmp_path / "output").rglob("poster.jpg"))) == 1


def test_if_an_event_fails_the_functions_error_is_shown(tmp_path, warm_cli):
    project, clip = tmp_path / "a project", tmp_path / "clip.mp4"
    for name in ("demo", "scripts", "src", "tools"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", project)
    for name in ("requirements.txt", "wheels.txt"):
        (project / "src" / name).write_text("")
    (project / "src/handler.py").write_text("def handler(event, context): raise RuntimeError('not my day')\n")
    clip.write_bytes(b"")
    ended = demo("--tools", warm_cli, clip, project=project)
    assert ended.returncode == 1
    assert "demo: 1 event(s) could not be processed. From the function's log:\n" in ended.stderr
    assert "RuntimeError" in ended.stderr
    assert "not my day" in ended.stderr
