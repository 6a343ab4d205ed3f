"""scripts/gallery.py on a deployed stack: a page of its results, which the same command updates."""

import subprocess
import sys
from pathlib import Path

from scripts.stack import Stack
from tools.videos import video

SCRIPT = Path(__file__).parents[2] / "scripts/gallery.py"


def gallery(intake: Stack, environ: dict[str, str], out: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, str(SCRIPT), "--stack", intake.name, "--out", str(out), *options]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_page_of_a_live_stack_shows_the_uploads_and_can_be_resumed(intake, environ, tmp_path):
    good = intake.upload("gallery/good <b>.mp4", video(seconds=0.4))
    bad = intake.upload("gallery/bad.mp4", b"Dear all")
    intake.upload("not here.mp4", b"Dear all")
    for one in (good, bad):
        intake.outcome(one)

    status, told = gallery(intake, environ, tmp_path, "--prefix", "gallery/")
    index = tmp_path / "index.html"
    assert (status, told.strip()) == (0, f"Open {index.as_uri()}")
    page = index.read_text()
    assert "gallery/good &lt;b&gt;.mp4" in page
    assert "not-a-video" in page
    assert "not here.mp4" not in page
    [poster] = tmp_path.rglob("poster.jpg")
    assert poster.read_bytes() == intake.read(f"{good.folder}poster.jpg")

    poster.write_bytes(b"as it was")
    more = intake.upload("gallery/more.mp4", b"Dear all")
    intake.outcome(more)
    assert gallery(intake, environ, tmp_path, "--prefix", "gallery/")[0] == 0
    assert "gallery/more.mp4" in index.read_text()
    assert poster.read_bytes() == b"as it was", "existing files are not downloaded again"

    assert gallery(intake, environ, tmp_path / "one", "--prefix", "gallery/", "--limit", "1")[0] == 0
    assert "gallery/more.mp4" in (tmp_path / "one/index.html").read_text(), "the newest"
    assert len(list((tmp_path / "one").rglob("result.json"))) == 1


def test_usage_errors_are_explained_in_one_line(intake, environ, tmp_path):
    assert gallery(intake, environ, tmp_path, "--stack", "no-such-stack")[0] == 2
    assert gallery(intake, environ, tmp_path, "--since", "yesterday")[0] == 2
