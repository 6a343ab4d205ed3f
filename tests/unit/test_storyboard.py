import re

import pytest

from tests.support.files import File
from tests.support.outcomes import COST, UPLOAD
from tests.support.pictures import pixels
from tools.videos import video
from video_intake import results
from video_intake.media import report, storyboard
from video_intake.media.inspector import Limits, inspect

CUE = re.compile(
    r"(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})\nstoryboard\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)\n"
)
GROUPS = {"preset": "ultrafast", "x264-params": "keyint=10:min-keyint=10:bframes=0"}
LIMITS = Limits(storyboard=True)


def made(content: bytes, limits: Limits = LIMITS):
    file = File(content)
    reader = file.reader()
    found = inspect(reader, limits)
    assert found.storyboard, found.warnings
    return found, reader


@pytest.fixture(scope="module")
def film():
    return video(size=(1280, 720), seconds=15, codec_options=GROUPS)


@pytest.mark.parametrize("flags", ["faststart", "frag_keyframe+empty_moov"])
def test_the_cues_cover_the_video_and_point_into_the_sheet(flags):
    found, _ = made(video(seconds=15, options={"movflags": flags}, codec_options=GROUPS))
    sheet = found.storyboard
    width, height, _ = pixels(sheet.jpeg)
    assert (width, height) == (sheet.columns * sheet.tile_width, sheet.rows * sheet.tile_height)
    cues = [[float(number) for number in cue] for cue in CUE.findall(sheet.vtt)]
    assert sheet.vtt.startswith("WEBVTT\n\n")
    assert sheet.frames == len(cues) == storyboard.FRAMES
    starts = [3600 * h + 60 * m + s for h, m, s, *_ in cues]
    ends = [3600 * h + 60 * m + s for _, _, _, h, m, s, *_ in cues]
    assert starts[0] == 0
    assert starts[1:] == ends[:-1]
    assert ends[-1] == pytest.approx(found.container.duration, abs=0.01)
    assert all(end > start for start, end in zip(starts, ends, strict=True))
    assert all(x + w <= width and y + h <= height for *_, x, y, w, h in cues)
    assert len({(x, y) for *_, x, y, _, _ in cues}) == len(cues)


def test_a_short_video_has_as_many_pictures_as_it_has_key_frames():
    found, _ = made(video(seconds=1, codec_options=GROUPS))
    assert (found.storyboard.frames, found.storyboard.columns, found.storyboard.rows) == (3, 2, 2)


def test_the_pictures_are_upright():
    found, _ = made(video("mov", seconds=1, rotation=-90))
    assert found.storyboard.tile_width < found.storyboard.tile_height == storyboard.TILE_EDGE


def test_all_key_frames_are_fetched_in_parallel(film):
    _, reader = made(film)
    assert reader.round_trips <= 3, "the ends, the poster, the storyboard"


def test_its_reading_has_a_budget(film, monkeypatch):
    monkeypatch.setattr(storyboard, "MAX_BYTES", 400_000)
    found, reader = made(film)
    assert 1 < found.storyboard.frames < storyboard.FRAMES
    assert reader.bytes_read < 2 * 128 * 1024 + 256 * 1024 + 400_000


def test_if_time_runs_out_the_video_is_still_playable(film):
    now = [0.0]
    reader = File(film).reader(deadline=10, clock=lambda: now[0])
    make = report.poster.make

    def slow(*arguments):
        now[0] = 11
        return make(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report.poster, "make", slow)
        found = inspect(reader, LIMITS)
    assert found.storyboard is None
    assert found.poster
    assert "No storyboard" in found.warnings[0]


def test_the_result_lists_sheet_and_cues(film, valid):
    found, _ = made(film)
    result = results.result(UPLOAD, found, COST)
    valid(result)
    files = results.pictures(result, found)
    assert set(files) == {result["poster"]["key"], result["storyboard"]["key"], result["storyboard"]["vttKey"]}
    assert result["storyboard"]["key"].endswith("/" + storyboard.IMAGE), "the cues name it relative to themselves"
    assert files[result["storyboard"]["vttKey"]].startswith(b"WEBVTT")


def test_by_default_there_is_no_storyboard(film):
    assert inspect(File(film).reader(), Limits()).storyboard is None
