"""scripts/inspect_video.py, run like a user does."""

import json
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from scripts import inspect_video
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
    def run(*arguments, **environ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(project / "scripts/inspect_video.py"), *map(str, arguments)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
        nowhere = files | {"AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=clean | nowhere | environ, timeout=120
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def test_a_folder_is_searched_and_a_bad_file_does_not_stop_the_others(run, folder, valid):
    done = run(folder, "--json")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["status"] for result in results] == ["failure", "success"]
    for result in results:
        valid(result)
    assert done.returncode == 1


def test_the_summary_the_pictures_and_the_page(run, folder, tmp_path):
    done = run(folder / "inner", "--out", tmp_path, "--storyboard")
    assert done.returncode == 0, done.stderr
    assert "playable" in done.stdout
    assert done.stderr.strip() == f"Open {(tmp_path / 'index.html').as_uri()}"
    names = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert names == ["index.html", "poster.jpg", "result.json", "storyboard.jpg", "storyboard.vtt"]


def test_a_missing_file_does_not_stop_the_others(run, folder):
    done = run(folder / "nothing.mp4", folder / "inner")
    assert f"{folder / 'nothing.mp4'}: there is no such file." in done.stderr
    assert "playable" in done.stdout
    assert done.returncode == 1


def test_names_are_ignored_as_in_the_pipeline_and_reported(run, tmp_path):
    for name in ("a.mp4", "b.Mp4", "c.MOV", "d.txt"):
        (tmp_path / name).write_bytes(b"no video")
    for arguments in ([tmp_path], [tmp_path / "a.mp4", tmp_path / "b.Mp4", tmp_path / "c.MOV"]):
        done = run(*arguments, "--json")
        assert [Path(json.loads(line)["source"]["key"]).name for line in done.stdout.splitlines()] == ["a.mp4", "c.MOV"]
        [said] = done.stderr.splitlines()
        assert said.startswith(
            f"{tmp_path / 'b.Mp4'}: ignored, as in the pipeline: the name must end exactly in .mp4 .MP4 "
        )
    (tmp_path / "empty").mkdir()
    assert "contains no file whose name ends in" in run(tmp_path / "empty").stderr


def test_results_that_cannot_be_written_are_reported_and_do_not_stop_the_others(run, folder, tmp_path):
    (tmp_path / "taken").write_bytes(b"a file")
    done = run(folder, "--out", tmp_path / "taken")
    assert [line.split()[0] for line in done.stdout.splitlines() if line[0] != " "] == ["not-a-video", "playable"]
    said = f"the results could not be written to {tmp_path / 'taken'}: Not a directory."
    assert [line.endswith(said) for line in done.stderr.splitlines()] == [True, True]
    assert done.returncode == 1


def test_missing_credentials_are_reported_and_do_not_stop_the_others(run, folder):
    done = run("s3://bucket/folder/", "s3://bucket/a.mp4", folder / "inner")
    said = "no AWS credentials were found. Run `aws configure` or `aws sso login`, or set AWS_PROFILE."
    assert done.stderr.splitlines() == [f"s3://bucket/folder/: {said}", f"s3://bucket/a.mp4: {said}"]
    assert "playable" in done.stdout


def test_objects_are_inspected_and_missing_ones_are_reported(run, scripts):
    s3, bucket = scripts.client("s3"), "videos-to-look-at"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": scripts.environ["AWS_REGION"]})
    for key in ("a b.mp4", "folder/c.avi", "folder/d.Avi", "folder/e.txt"):
        s3.put_object(Bucket=bucket, Key=key, Body=video(seconds=0.2))
    cloud = {name: value for name, value in scripts.environ.items() if name.startswith("AWS_")}

    def keys(*arguments: str) -> tuple[list[str], list[str]]:
        done = run(*arguments, "--json", **cloud)
        return [json.loads(line)["source"]["key"] for line in done.stdout.splitlines()], done.stderr.splitlines()

    ignored = f"s3://{bucket}/folder/d.Avi: ignored, as in the pipeline: the name must end exactly in"
    for everything in (f"s3://{bucket}", f"s3://{bucket}/"):
        found, [said] = keys(everything)
        assert found == ["a b.mp4", "folder/c.avi"]
        assert said.startswith(ignored)
    found, said = keys(
        "s3://no-such-bucket-4711/", f"s3://{bucket}/no.mp4", "s3://no-such-bucket-4711/a.mp4", f"s3://{bucket}/a b.mp4"
    )
    assert found == ["a b.mp4"]
    assert said == [
        "s3://no-such-bucket-4711/: the bucket no-such-bucket-4711 does not exist.",
        f"s3://{bucket}/no.mp4: there is no such object in the bucket {bucket}.",
        "s3://no-such-bucket-4711/a.mp4: the bucket no-such-bucket-4711 does not exist.",
    ]


def test_each_file_is_printed_as_it_finishes_and_a_terminal_shows_progress(project, folder):
    """The last file is on a server that never responds, so the output for the earlier ones must already be there."""
    master, terminal = pty.openpty()
    command = [sys.executable, str(project / "scripts/inspect_video.py"), "--json", str(folder), "s3://bucket/a.mp4"]
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "x")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ = os.environ | keys | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, text=True, env=environ) as inspecting:
            assert inspecting.stdout is not None
            first = [json.loads(inspecting.stdout.readline())["status"] for _ in range(2)]
            shown = b""
            while b"2/3" not in shown:
                shown += os.read(master, 1000)
            assert inspecting.poll() is None, "it waits"
            inspecting.kill()
    os.close(terminal)
    os.close(master)
    assert first == ["failure", "success"]
    assert b"0/3" in shown


def test_every_page_of_a_listing_is_inspected(monkeypatch):
    client = boto3.client("s3", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(inspect_video, "s3", lambda: client)
    first = {"Contents": [{"Key": "f/a.mp4"}], "IsTruncated": True, "NextContinuationToken": "t"}
    asked = {"Bucket": "b", "Prefix": "f/"}
    with Stubber(client) as stubber:
        stubber.add_response("list_objects_v2", first, asked)
        stubber.add_response("list_objects_v2", {"Contents": [{"Key": "f/b.mov"}]}, asked | {"ContinuationToken": "t"})
        assert [*inspect_video.named("s3://b/f/")] == ["s3://b/f/a.mp4", "s3://b/f/b.mov"]


def test_a_file_that_becomes_shorter_is_not_read_as_if_it_were_whole(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"0123456789")
    upload, fetch = inspect_video.on_disk(str(file))
    assert (upload.size, fetch(2, 5)) == (10, b"234")
    file.write_bytes(b"0123")
    with pytest.raises(OSError, match="the file became shorter"):
        fetch(2, 5)


def test_names_that_are_not_text_or_affect_a_terminal_are_made_harmless(monkeypatch, capsys):
    unsafe = "\N{REPLACEMENT CHARACTER}"
    inspect_video.Complaints().add("a\n\x1b[31m.mp4", "why.")
    assert capsys.readouterr().err == f"a{unsafe}{unsafe}[31m.mp4: why.\n"
    monkeypatch.setattr(Path, "stat", lambda path: SimpleNamespace(st_size=1, st_mtime=0))
    upload, _ = inspect_video.on_disk(os.fsdecode(b"\xe9.mp4"))
    assert upload.key == f"{unsafe}.mp4"


def test_wrong_use(run):
    assert run().returncode == 2
    assert run("--no-such-option").returncode == 2
