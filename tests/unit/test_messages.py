import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.boxes import track
from tests.support.files import File
from tests.support.hostile import metadata, still
from tests.support.outcomes import COST, REJECTIONS, UPLOAD
from tools.videos import video
from video_intake import messages, results
from video_intake.media import answer, verdicts
from video_intake.media.facts import Audio, Chapter, Container, Inspection, Video
from video_intake.media.inspector import inspect
from video_intake.media.limits import Limits

SNS = 256 << 10  # bytes that a message may have (SNS API reference, Publish)

TRUNCATED = verdicts.truncated(50, lastSampleEnd=99)


@pytest.fixture
def success(inspection):
    return results.result(UPLOAD, inspection, COST)


@pytest.fixture
def failure():
    return results.result(UPLOAD, TRUNCATED, COST)


def test_a_message_has_text_for_email_and_json_for_programs(success):
    voices = json.loads(messages.message(success))
    assert json.loads(voices["default"]) == success
    assert "is a playable video" in voices["email"]


def test_success_and_failure_differ(success, failure):
    assert messages.subject(success) == "Video ready: Ete 2026 (1) ?.mp4"
    assert messages.subject(failure) == "Video rejected (truncated): Ete 2026 (1) ?.mp4"
    assert "is not a playable video" in messages.email(failure)


def test_a_success_describes_the_video(success):
    text = messages.email(success)
    for fact in ("Été 2026 (1) 🎬.mp4", "640 x 360", "H.264", "30 frames/s", "AAC", "48000 Hz", "MP4", "1.23 kB"):
        assert fact in text, fact
    for place in (success["poster"]["key"], success["resultKey"], UPLOAD.version_id):
        assert place in text, place


def test_messages_about_another_bucket_have_the_right_locations(inspection):
    text = messages.email(results.result(replace(UPLOAD, bucket="theirs"), inspection, COST, "ours"))
    for place in (
        "Video    s3://theirs/Été",
        "Poster   s3://ours/results-of/theirs/",
        "Result   s3://ours/results-of/",
    ):
        assert place in text, place


def test_a_failure_states_why_and_what_to_do(failure):
    text = messages.email(failure)
    for fact in (TRUNCATED.message, TRUNCATED.advice, "lastSampleEnd: 99", UPLOAD.version_id):
        assert fact in text, fact


@pytest.mark.parametrize("rejected", REJECTIONS, ids=lambda rejected: rejected.reason)
@pytest.mark.parametrize("key", ["a.mp4", "é" * 500 + ".mp4", "line\nbreak\t\x7f.mov", "видео.avi", "🎬.mp4"])
def test_every_subject_is_accepted_by_sns(rejected, key):
    """ASCII, no line breaks or control characters, fewer than 100 characters (SNS API reference, Publish)."""
    subject = messages.subject(results.result(replace(UPLOAD, key=key), rejected, COST))
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100
    assert rejected.reason in subject
    assert subject.endswith(key[-4:])


def test_subscribers_can_filter(success, failure):
    assert {name: value["StringValue"] for name, value in messages.attributes(success, "dev").items()} == {
        "status": "success",
        "environment": "dev",
    }
    assert messages.attributes(failure, "dev")["reason"]["StringValue"] == "truncated"


@pytest.mark.parametrize(("seconds", "text"), [(0.5, "0.5 s"), (59.94, "59.9 s"), (61, "0:01:01"), (7325.4, "2:02:05")])
def test_durations_are_readable(success, seconds, text):
    success["container"]["duration"] = seconds
    assert f"Length   {text}\n" in messages.email(success)


# The maximum lengths of strings and lists in facts

WIDEST = "\U0001f3ac"  # four bytes, and twelve characters where JSON escapes it
TEXTS = st.one_of(st.just(WIDEST * 64), st.text(max_size=64))
TITLES = st.one_of(st.just(WIDEST * 100), st.text(max_size=100))
KEYS = st.one_of(st.just("\1" * 1020 + ".mp4"), st.just(WIDEST * 255 + ".mp4"), st.text(min_size=1, max_size=250))
st.register_type_strategy(str, TEXTS)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
LISTS = {
    "audio": st.lists(st.builds(Audio), max_size=32).map(tuple),
    "warnings": st.lists(st.one_of(st.just(WIDEST * 300), st.text(max_size=300)), max_size=20).map(tuple),
}
CHAPTERS = st.lists(st.builds(Chapter, title=TITLES), max_size=100).map(tuple)
FOUND = st.builds(
    Inspection,
    container=st.builds(Container, chapters=CHAPTERS, format=st.sampled_from(["mp4", "mov", "avi"])),
    video=st.builds(Video, frame_rate=st.just("30/1")),
    poster=st.none(),
    storyboard=st.none(),
    **LISTS,
)


def sent(result) -> str:
    """A program's version of the message, which SNS must accept."""
    text = messages.message(result)
    assert len(text.encode()) + len(messages.subject(result)) < SNS
    voices = json.loads(text)
    assert messages.visible(result["resultKey"]) in voices["email"]
    assert [line for line in voices["email"].split("\n") if messages.visible(line) != line] == []
    return voices["default"]


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None, max_examples=60)
@given(found=FOUND, key=KEYS)
def test_any_text_from_a_file_gives_a_valid_message(found, key):
    result = results.result(replace(UPLOAD, key=key), found, COST)
    received = json.loads(sent(result))
    assert received["resultKey"] == result["resultKey"]
    assert received == result or received["warnings"] == [messages.SHORTENED]


@given(key=KEYS, evidence=st.dictionaries(st.sampled_from("abcdefghijkl"), st.text() | st.just("\1" * 100_000)))
def test_any_evidence_gives_a_valid_message(key, evidence):
    assert sent(results.result(replace(UPLOAD, key=key), verdicts.no_frames(**evidence), COST))


@given(key=st.text(min_size=1, max_size=250) | st.just("a.mp4\n\nYour bucket is closed. Pay here:\r\u2028\u202e.mp4"))
def test_a_key_adds_no_line_to_an_email(key):
    plain, hostile = (results.result(replace(UPLOAD, key=each), verdicts.no_frames(), COST) for each in ("a.mp4", key))
    assert len(messages.email(hostile).splitlines()) == len(messages.email(plain).splitlines())


def test_omitted_parts_are_mentioned_and_the_rest_is_complete(inspection, valid):
    many = tuple(Chapter(0.0, 1.0, WIDEST * 100) for _ in range(100))
    warned = tuple(f"{number} {WIDEST * 290}" for number in range(20))
    found = replace(inspection, container=replace(inspection.container, chapters=many), warnings=warned)
    result = results.result(UPLOAD, found, COST)
    received = json.loads(sent(result))
    valid(received)
    assert received != result
    assert received["warnings"] == [messages.SHORTENED]
    assert received["video"] == result["video"]
    assert received["poster"] == result["poster"]


def size_in_sns(result) -> int:
    """Bytes of a message with its subject and attributes, all of which SNS counts."""
    attributes = messages.attributes(result, "e" * 64).items()
    texts = [part for name, value in attributes for part in (name, *value.values())]
    return len("".join([messages.message(result), messages.subject(result), *texts]).encode())


def test_the_longest_failure_fits_and_a_longer_one_loses_only_its_evidence(valid):
    result = results.result(replace(UPLOAD, key="k" * 1020 + ".mp4"), verdicts.undecodable(""), COST)
    room = messages.MAX_MESSAGE - len(messages.message(result).encode())
    result["failure"]["evidence"] = {"detail": "x" * (room // 2)}  # it is in both versions
    assert json.loads(json.loads(messages.message(result))["default"]) == result
    assert SNS - 8192 < size_in_sns(result) <= SNS
    result["failure"]["evidence"] = {"detail": "x" * (room // 2 + 1)}
    assert size_in_sns(result) < SNS // 2
    received = json.loads(json.loads(messages.message(result))["default"])
    valid(received)
    assert received == result | {"failure": result["failure"] | {"evidence": {}}}


def chapter(number: int) -> dict:
    place = {"id": number, "start": number, "end": number + 1, "time_base": Fraction(1, 1000)}
    return place | {"metadata": {"title": WIDEST * 200}}


@pytest.mark.parametrize(
    "content",
    [
        lambda: still(in_moov=metadata({b"creation_time": b"9" * 300_000, b"make": WIDEST.encode() * 100_000})),
        lambda: still(ftyp=b"\xff\xfe\xfd\xfc\0\0\2\0" + b"\xff\xff\xff\xff" * 75_000),
        lambda: still(in_moov=b"".join(track([], number, b"soun") for number in range(2, 990))),
        lambda: video(seconds=0.2, chapters=[chapter(number) for number in range(150)]),
        lambda: still(in_moov=metadata({b"name%d" % number: b"\xff\0\n" * 1000 for number in range(300)})),
    ],
    ids=["a time of 300,000 digits", "brands", "988 tracks of sound", "chapters", "values that are not text"],
)
def test_files_with_much_text_get_a_valid_result_and_message(content, valid):
    film = File(content())
    found = inspect(film.reader(), Limits())
    facts, pictures = answer.of_inspection(found)
    assert answer.read(json.loads(json.dumps(facts)), pictures) == found, "it comes through to the function"
    result = results.result(UPLOAD, found, COST)
    valid(result)
    sent(result)


def test_every_text_and_list_from_a_file_has_a_limit(project):
    schema = json.loads((project / "docs/result.schema.json").read_text())["properties"]

    def unbounded(part, path):
        kinds = part.get("type", [])
        if "string" in ([kinds] if isinstance(kinds, str) else kinds) and "maxLength" not in part:
            yield path
        if "array" in ([kinds] if isinstance(kinds, str) else kinds):
            if "maxItems" not in part:
                yield path
            yield from unbounded(part["items"], f"{path}[]")
        for name, inner in part.get("properties", {}).items():
            yield from unbounded(inner, f"{path}.{name}")

    for name in ("container", "video", "audio", "warnings", "failure"):
        assert list(unbounded(schema[name], name)) == []
