"""Results as shown to people and as saved: keys are untrusted, and may be anything that S3 allows."""

import io
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import readable, saved, terminal
from tools.videos import video
from video_intake import messages
from video_intake.decoder import Decoder
from video_intake.inspection import judge
from video_intake.media.limits import Limits
from video_intake.uploads import NO_VERSION, Upload

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400) | st.sampled_from(
    [
        "../../etc/passwd.mp4",
        "/etc/passwd.mp4",
        "a/../../b.mp4",
        "a\0b.mp4",
        "a\nb.mp4",
        "\x1b[31mred.mp4",
        "é" * 500,
        "x" * saved.LONGEST_NAME,
        ".",
    ]
)


def judged(key: str, content: bytes):
    upload = Upload("videos", key, NO_VERSION, len(content), "e", "", "2026-07-01T10:00:00.000Z")
    with closing(Decoder()) as decoder:
        return judge(decoder, upload, lambda start, end: content[start:end], Limits(), 30)


@given(KEYS)
def test_untrusted_text_is_on_one_line_and_does_not_affect_its_surroundings(text):
    shown = messages.visible(text)
    assert len(shown) == len(text)
    assert not [each for each in shown if unicodedata.category(each) in messages.UNSAFE_CATEGORIES]
    assert shown.splitlines() in ([shown], [])


@given(KEYS)
def test_any_result_can_be_saved_inside_its_folder(key):
    out = Path("/out/of/everything")
    target = saved.local(f"results/{key}/v/result.json", out)
    assert target.is_relative_to(out)
    assert ".." not in target.parts
    assert all(len(part.encode()) < saved.LONGEST_NAME for part in target.parts)
    assert "\0" not in str(target)


def test_long_names_stay_distinct():
    keys = [f"results/{'x' * 300}{number}/v/result.json" for number in range(100)]
    assert len({saved.local(key, Path("/out")) for key in keys}) == 100


def test_saved_results_can_be_read_and_no_unfinished_files_are_left(tmp_path):
    result, pictures = judged("a/b.mp4", video(seconds=0.4))
    folder = saved.write(result, pictures, tmp_path)
    assert {file.name for file in folder.iterdir()} == {"result.json", "poster.jpg"}
    assert (folder / "poster.jpg").read_bytes() == pictures[result["poster"]["key"]]
    assert list(pictures) == saved.pictures(result)


def test_a_result_is_saved_after_its_pictures(tmp_path, monkeypatch):
    """A folder that has one is complete, so an interrupted download can be resumed."""
    result, pictures = judged("a/b.mp4", video(seconds=0.4))
    order: list[tuple[str, str]] = []
    monkeypatch.setattr(Path, "replace", lambda path, target: order.append((path.name, target.name)))
    saved.write(result, pictures, tmp_path)
    assert order == [(".poster.jpg", "poster.jpg"), (".result.json", "result.json")], "each in one step"


def test_a_summary_and_a_table_have_the_main_facts():
    playable, _ = judged("[red]a\x1b[31m.mp4", video(seconds=2, audio="aac"))
    playable["warnings"] = ["\x1b[32m"]
    rejected, _ = judged("b\nc.mp4", b"Dear all")
    for drawn in (terminal.table([playable, rejected]), *map(terminal.summary, (playable, rejected))):
        out = io.StringIO()
        terminal.console(out).print(drawn)
        text = out.getvalue()
        assert "\x1b" not in text
        assert ("b\N{REPLACEMENT CHARACTER}c.mp4" in text) or ("[red]a\N{REPLACEMENT CHARACTER}[31m.mp4" in text)
    playable["inspection"] |= {"durationMs": 5, "requests": 1, "bytesRead": 1000}
    playable["source"] |= {"size": 2000}
    drawn, out = terminal.table([playable, rejected]), io.StringIO()
    terminal.console(out).print(drawn)
    heading, _, row, *_ = (line.split() for line in out.getvalue().splitlines() if line.strip())
    assert heading == ["Key", "Verdict", "Facts", "Time", "Requests", "Read", "Of"]
    assert row[-7:] == ["5", "ms", "1", "1", "kB", "2", "kB"]
    assert [cell.style for cell in drawn.columns[1].cells] == ["green", "red"]
    shown = io.StringIO()
    terminal.console(shown).print(terminal.summary(playable))
    for part in ("playable", "640 × 360", "H.264", "30 fps", "2 s", "AAC", "1 request ·"):
        assert part in shown.getvalue()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "0.4 s"), (9.94, "9.9 s"), (9.96, "0:10"), (59.4, "0:59"), (59.6, "1:00"), (3599.4, "59:59"),
        (3599.6, "1:00:00"), (7325.4, "2:02:05"),
    ],
)  # fmt: skip
def test_a_duration_is_shown_like_on_a_clock(seconds, shown):
    assert readable.clock(seconds) == shown


def test_the_facts_and_details_of_a_playable_video():
    result, _ = judged("a.mp4", video(seconds=0.4))
    result["container"] |= {"bitRate": 12_345_678, "recordedAt": "2026-01-01", "creationTime": "2026-02-02"}
    result["container"] |= {"deviceMake": "Make", "deviceModel": None, "duration": None}
    result["video"] |= {"frameRate": "30000/1001", "hdr": "HDR10"}
    result["audio"] = []
    assert readable.facts(result) == "640 × 360 · H.264 · 29.97 fps · HDR (HDR10) · no sound · MP4"
    details = dict(readable.details(result))
    expected = {"Bit rate": "12.3 Mbit/s", "Recorded": "2026-01-01", "Device": "Make", "Version": NO_VERSION}
    assert details.items() >= expected.items()


def test_the_details_of_a_rejected_video_from_another_bucket():
    result, _ = judged("a.mp4", b"Dear all")
    result["failure"]["evidence"] = {"zero": 0, "nothing": None, "no": False, "text": ""}
    assert readable.details(result)[:3] == [("zero", "0"), ("no", "False"), ("Size", "8 bytes")]
    assert readable.name(result) == "a.mp4"
    result["resultBucket"] = "the stack's"
    assert readable.name(result) == "s3://videos/a.mp4"


def test_only_a_terminal_has_a_width(monkeypatch):
    """Progress goes to stderr, which may be a terminal if stdout is not."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "77")
    assert terminal.console(Terminal()).width == 77
    assert terminal.console(io.StringIO()).width == terminal.WIDE


def test_the_cost_of_a_thousand_inspections_is_the_sum_of_prices():
    result, _ = judged("a.mp4", b"Dear all")
    result["inspection"] |= {"durationMs": 1000, "requests": 10, "roundTrips": 1, "bytesRead": 1}
    # 1,000 GB-seconds on arm64 and 10,000 GET requests (docs/cost.md)
    assert abs(readable.dollars_per_thousand([result, result]) - (1000 * 0.0000133334 + 10_000 * 0.0004 / 1000)) < 1e-9
    assert readable.dollars_per_thousand([]) == 0
