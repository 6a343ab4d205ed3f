import re

import pytest
from av.video.frame import VideoFrame

from tests.support import numbered
from tests.support.files import File
from tests.support.outcomes import COST, UPLOAD
from tests.support.pictures import pixels
from tools.videos import video
from video_intake import results
from video_intake.media import poster, report, storyboard
from video_intake.media.display import Display
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
    assert [cue[-4:] for cue in cues] == row_by_row(sheet)


def row_by_row(sheet) -> list[list[float]]:
    """Where each picture is in the sheet: x, y, width, height."""
    places = [(number % sheet.columns, number // sheet.columns) for number in range(sheet.frames)]
    return [[x * sheet.tile_width, y * sheet.tile_height, sheet.tile_width, sheet.tile_height] for x, y in places]


def tile(number: int) -> VideoFrame:
    return poster.upright(numbered.drawn(number), Display(), storyboard.TILE_EDGE)


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 2, 2), (5, 3, 2), (7, 3, 3), (25, 5, 5)]
)
def test_a_sheet_has_just_enough_rows_and_columns(count, columns, rows):
    sheet = storyboard.make([(float(number), tile(number)) for number in range(count)], count)
    assert (sheet.columns, sheet.rows, sheet.frames) == (columns, rows, count)
    assert (sheet.tile_width, sheet.tile_height) == numbered.SIZE
    assert numbered.in_tiles(sheet.jpeg, numbered.SIZE, columns, count) == list(range(count))
    assert [[float(number) for number in cue[-4:]] for cue in CUE.findall(sheet.vtt)] == row_by_row(sheet)


def test_cues_use_the_clock_of_webvtt_and_never_end_before_they_begin():
    times = [0.5, 59.9996, 3725.5, 36_000.25]
    sheet = storyboard.make([(time, tile(1)) for time in times], 0.0)  # the duration is unknown
    assert re.findall(r"(\S+) --> (\S+)", sheet.vtt) == [
        ("00:00:00.000", "00:01:00.000"),
        ("00:01:00.000", "01:02:05.500"),
        ("01:02:05.500", "10:00:00.250"),
        ("10:00:00.250", "10:00:00.251"),
    ]
    assert sheet.vtt.startswith("WEBVTT\n\n")
    assert storyboard.make([], 5.0) is None


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
    assert found.storyboard.frames in (13, 7, 4, 2), "every second place, as often as necessary"
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


def test_a_storyboard_that_takes_too_long_has_the_pictures_so_far(film, monkeypatch):
    now, sizes = [0.0], []
    convert = poster.upright

    def slow(frame, shown, edge):
        sizes.append(edge)
        now[0] = 11 if sizes.count(storyboard.TILE_EDGE) == 3 else 0
        return convert(frame, shown, edge)

    monkeypatch.setattr(poster, "upright", slow)
    found = inspect(File(film).reader(deadline=10, clock=lambda: now[0]), LIMITS)
    assert (found.storyboard.frames, sizes.count(storyboard.TILE_EDGE)) == (3, 3)


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
