"""The command-line tool, run as a person runs it."""

import json
import subprocess
import sys

import pytest

from tools.videos import video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    (folder / "inner").mkdir()
    (folder / "inner/Été 🎬.MP4").write_bytes(video(seconds=0.2))
    (folder / "broken.mov").write_bytes(b"no video")
    (folder / "notes.txt").write_bytes(b"not even named like one")
    return folder


@pytest.fixture
def run(project):
    def run(*arguments) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(project / "scripts/inspect_video.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_a_folder_is_walked_and_one_bad_file_stops_no_other(run, folder, valid):
    done = run(folder, "--json")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["status"] for result in results] == ["failure", "success"]
    for result in results:
        valid(result)
    assert done.returncode == 1


def test_the_table_and_the_pictures(run, folder, tmp_path):
    done = run(folder / "inner", "--out", tmp_path, "--storyboard")
    assert done.returncode == 0, done.stderr
    assert "playable" in done.stdout
    names = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert names == ["poster.jpg", "result.json", "storyboard.jpg", "storyboard.vtt"]


def test_a_file_that_is_not_there_stops_no_other(run, folder):
    done = run(folder / "nothing.mp4", folder / "inner")
    assert "nothing.mp4: could not be read" in done.stderr
    assert "playable" in done.stdout
    assert done.returncode == 1


def test_wrong_use(run):
    assert run().returncode == 2
    assert run("--no-such-option").returncode == 2
