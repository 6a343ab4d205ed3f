"""Rejections with specific explanations, which must be true for every file that gets them."""

import base64
import struct

import pytest

from tests.fuzz.mutations import File as Parts
from tests.support.boxes import box, full, movie, numbers, picture_entry, png, sound_entry
from tests.support.files import File, verdict
from tests.support.riff import parts
from tools.videos import video
from video_intake.media import notes, verdicts
from video_intake.media.inspector import Limits, inspect
from video_intake.media.verdicts import Rejected

SMALL = {"size": (96, 64), "seconds": 1, "rate": 10}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof+skip_trailer"}


@pytest.fixture(scope="module")
def plain() -> bytes:
    return video(**SMALL, options={"movflags": "faststart"})


@pytest.fixture(scope="module")
def fragments() -> bytes:
    return video(**SMALL, codec_options={"x264-params": "keyint=2:scenecut=0:bframes=0"}, options=FRAGMENTS)


@pytest.fixture(scope="module")
def avi() -> bytes:
    return video("avi", "mpeg4", **SMALL, audio=None)


BOUNDARY = b"--d74496d66958873e"
HEAD = b'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\n'


@pytest.mark.parametrize(
    "head",
    [
        BOUNDARY + b"\r\n" + HEAD + b"Content-Type: video/mp4\r\n\r\n",
        BOUNDARY + b"\r\nContent-Type: video/mp4\r\n" + HEAD + b"\r\n",
        BOUNDARY + b'\r\nContent-Disposition: form-data; name="key"\r\n\r\na.mp4\r\n' + BOUNDARY + b"\r\n" + HEAD,
        b"\r\nA preamble.\r\n" + BOUNDARY + b"\r\n" + HEAD,
        b"--a\nContent-Type: application/json\n\n{}\n--a\nContent-Type: video/mp4\n\n",  # multipart/related
    ],
)
def test_the_body_of_an_upload(plain, head):
    rejected = verdict(head + plain + b"\r\n" + BOUNDARY + b"--\r\n")
    assert rejected.reason == "not-a-video"
    assert "form" in rejected.evidence["found"]
    assert "multipart" in rejected.message


@pytest.mark.parametrize(
    "encoded",
    [
        base64.b64encode,
        base64.encodebytes,
        base64.urlsafe_b64encode,
        lambda content: base64.b64encode(content).replace(b"+", b" "),
        lambda content: b"data:video/mp4;base64," + base64.b64encode(content),
        lambda content: b'data:video/mp4;codecs="avc1.42E01E";base64,' + base64.b64encode(content),
        lambda content: b'"' + base64.b64encode(content) + b'"',
        lambda content: b'"' + base64.urlsafe_b64encode(content[:98]).rstrip(b"=") + b'"',
    ],
)
def test_base64(plain, avi, encoded):
    for content in (plain, avi):
        assert verdict(encoded(content)).message == "The file is Base64 text, not the file that the text encodes."


@pytest.mark.parametrize("text", ["A" * 4000, "c29tZSB0ZXh0" * 100])
def test_text_that_resembles_base64_is_text(text):
    assert verdict(text.encode()).evidence["found"] == "text"


@pytest.mark.parametrize(
    "converted",
    [
        lambda content: content.decode("utf-8", "replace").encode(),
        lambda content: content.decode("latin-1").encode(),
    ],
)
def test_bytes_that_were_converted_as_text(plain, avi, fragments, converted):
    """The result of an API that treats a body as a string."""
    for content in (plain, avi, fragments):
        rejected = verdict(converted(content))
        assert rejected.reason == "not-a-video"
        assert "converted" in rejected.message


def test_lines_that_were_converted_as_text():
    """The result of FTP in text mode."""
    content = b"\n".join(bytes([number]) * 30 for number in range(200, 230))
    assert "converted" in verdict(box(b"ftyp", b"isom", bytes(4)) + content.replace(b"\n", b"\r\n")).message


@pytest.mark.parametrize("text", ["Ein schöner Film über Ärzte\r\n" * 100, "日本の夏\n" * 300])
def test_text_in_front_of_a_damaged_video_is_not_a_conversion(plain, text):
    front = plain.index(b"moov") - 4
    content = plain[:front] + box(b"uuid", bytes(16), text.encode()) + plain[front:-500]
    assert verdict(content).reason != "not-a-video"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (bytes(5000), "zeros."),
        (bytes(5 << 20), "zeros at its beginning and its end."),
        (bytes(5000) + b"\1", "zeros at its beginning."),
    ],
)
def test_zeros(content, where):
    assert verdict(content).message.endswith(where)


@pytest.mark.parametrize("kind", ["plain", "avi", "fragments"])
@pytest.mark.parametrize(
    "front",
    [
        b"\xef\xbb\xbf",
        b"\r\n",
        bytes(512),
        bytes(65_536),
        b"ID3\4\0\0\0\0\1\0" + bytes(128),
        b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n",
    ],
)
def test_a_video_after_something_else(request, kind, front):
    rejected = verdict(front + request.getfixturevalue(kind))
    assert rejected.reason == "not-a-video"
    assert rejected.evidence["videoFrom"] == len(front)
    assert f"{len(front):,} bytes come before" in rejected.message


def test_the_name_of_a_box_in_a_text_is_not_a_video():
    assert verdict(b"see the boxes ftyp and RIFF and AVI LIST" * 50).evidence["found"] == "text"
    assert verdict(bytes(2000) + b"\0\0\0\x14ftyp" + bytes(3000)).evidence["found"] == "an unknown format"


def test_an_index_whose_tables_were_lost_is_damaged(plain):
    """Not one of a track without frames: it states them."""
    at = plain.index(b"stsc") + 4
    rejected = verdict(plain[:at] + bytes(12) + plain[at + 12 :])
    assert rejected.reason == "undecodable"


def test_segments_and_initialization_segments_alone(fragments):
    at = fragments.index(b"moof") - 4
    assert "initialization segment" in verdict(fragments[at:]).message
    assert verdict(fragments[at:]).evidence["firstBox"] == "moof"
    for kind in (b"styp", b"ftyp", b"free"):
        named = verdict(box(kind, b"msdh", bytes(4)) + fragments[at:])
        assert "initialization segment" in named.message
        assert named.evidence["firstBox"] == kind.decode()
    beginning = verdict(fragments[:at])
    assert beginning.reason == "no-frames"
    assert "beginning of a stream" in beginning.message
    sound = video(codec=None, seconds=1, options=FRAGMENTS)
    assert verdict(sound[: sound.index(b"moof") - 4]).reason == "audio-only"


@pytest.mark.parametrize(("kind", "kept"), [("moof", 30), ("mdat", 300)])
def test_a_recording_that_ends_in_its_first_fragment(fragments, kind, kept):
    at = fragments.index(kind.encode()) - 4
    content = fragments[: fragments.index(b"moof") + kept]
    size = int.from_bytes(fragments[at : at + 4])
    rejected = verdict(content)
    assert rejected.evidence == {"box": kind, "boxEnd": at + size, "fileEnd": len(content)}


def test_a_truncated_recording_states_how_much_is_complete(fragments):
    last = fragments.rindex(b"moof")
    for cut in (last + 30, last + 150):
        rejected = verdict(fragments[:cut])
        assert rejected.reason == "truncated"
        assert rejected.evidence["secondsComplete"] == pytest.approx(0.8, abs=0.05)
        assert "It is complete up to 0.8" in rejected.message


def test_a_file_without_an_index_is_not_called_cut_off(plain):
    """It may not have been: the recording may have stopped before the index was written."""
    end = plain.index(b"moov") - 4
    for header, understood in ((b"\0\0\x0b\xc0mdat", 3008), (b"\0\0\0\4abcd", 0), (b"\xff\xff\xff\xffabcd", 0)):
        rejected = verdict(plain[:end] + header + bytes(3000))
        assert rejected.reason == "truncated"
        assert "no index (moov)" in rejected.message
        assert rejected.evidence == {"fileEnd": end + 3008, "understoodUntil": end + understood}


def test_a_video_track_without_frames():
    rejected = verdict(movie(picture_entry(b"png ", 64, 48), []))
    assert (rejected.reason, rejected.evidence) == ("no-frames", {"frames": 0})
    assert "that track has no frames" in rejected.message


def test_media_data_in_another_file():
    another = full(b"dref", numbers(1), full(b"url ", b"file:///movie.mov\0"))
    rejected = verdict(movie(picture_entry(b"png ", 64, 48), [png(64, 48)], dref=another))
    assert rejected.reason == "no-frames"
    assert "another file" in rejected.message
    assert "self-contained" in rejected.advice


@pytest.mark.parametrize(
    "entries",
    [
        [full(b"url ", flags=1)],
        [full(b"url ", b"file:///movie.mov\0", flags=1)],  # where it was: the flag decides (ISO/IEC 14496-12, 8.7.2)
        [full(b"url ", b"\0")],
        [full(b"alis", bytes(30))],
        [full(b"url ", b"file:///movie.mov\0"), full(b"url ", flags=1)],
    ],
)
def test_media_data_in_the_same_file(entries):
    own = full(b"dref", numbers(len(entries)), *entries)
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48)], dref=own)
    assert inspect(File(content).reader(), Limits()).poster


@pytest.mark.parametrize("at", [0, 1 << 20])  # where the audio is, in a file that may be larger
def test_a_video_with_only_its_audio_in_another_file_is_playable(at):
    another = full(b"dref", numbers(1), full(b"alis", b"\0" * 20 + b"Sound"))
    place = {b"stco": full(b"stco", numbers(1, at))}
    silent = movie(sound_entry(b"twos"), [bytes(200)], dref=another, handler=b"soun", changed=place)
    at = silent.index(b"trak") - 4
    trak = silent[at : at + int.from_bytes(silent[at : at + 4])].replace(numbers(0, 0, 1, 0), numbers(0, 0, 2, 0), 1)
    film = movie(picture_entry(b"png ", 64, 48), [png(64, 48)] * 3, in_moov=trak)
    found = inspect(File(film).reader(), Limits())
    assert found.poster
    assert any("audio is stored in another file" in warning for warning in found.warnings)


@pytest.mark.parametrize("handler", [b"subt", b"text", b"meta"])
def test_tracks_without_video(handler):
    entry = box(b"stpp", bytes(6), b"\0\1", b"http://www.w3.org/ns/ttml\0\0\0")
    second_handler = {b"hdlr": full(b"hdlr", b"dhlralis", bytes(13))}
    rejected = verdict(movie(entry + bytes(60), [b"<tt/>"], handler=handler, changed=second_handler))
    assert rejected.reason == "no-frames"
    assert "none of them is video" in rejected.message
    assert rejected.evidence == {"tracks": handler.decode()}


@pytest.mark.parametrize("sound_first", [False, True])
def test_an_avi_that_cannot_be_decoded_names_its_codec(sound_first):
    file = Parts.parse(video("avi", "mpeg4", **SMALL, audio="mp3").replace(b"FMP4", b"XYZ1"))
    if sound_first:
        headers = next(node for node in file.nodes() if node.lead == b"hdrl").children
        headers.sort(key=lambda node: node.lead == b"strl" and any(each.lead[:4] == b"vids" for each in node))
    rejected = verdict(file.write())
    assert (rejected.reason, rejected.evidence["codec"]) == ("unsupported-codec", "XYZ1")


def test_an_avi_without_media_data_has_no_frames(avi):
    """Although its header claims some."""
    at = avi.index(b"movi")
    rejected = verdict(avi[: at - 4] + (4).to_bytes(4, "little") + avi[at : at + 4])
    assert rejected.reason == "no-frames"


def test_an_avi_whose_frames_are_all_hidden_is_damaged():
    """A flag of VP8 (RFC 6386, 9.1), which its decoder does not report as an error."""
    content = bytearray(video("avi", "libvpx", **SMALL, audio=None))
    movi, *_, entries = parts(content)
    for _, _, offset, _ in entries:
        content[movi + 8 + offset + 8] &= ~0x10
    rejected = verdict(bytes(content))
    assert rejected.reason == "undecodable"
    assert rejected.evidence["detail"]


@pytest.mark.parametrize("streams", [1, 2])
def test_an_avi_of_enormous_pictures(avi, streams):
    """In any of its streams."""
    file = Parts.parse(avi)
    headers = next(node for node in file.nodes() if node.lead == b"hdrl").children
    (stream,) = (node for node in headers if node.lead == b"strl")
    headers.extend(stream.copy() for _ in range(streams - 1))
    *_, description = (node for node in file.nodes() if node.type == b"strf")
    description.lead = description.lead[:4] + struct.pack("<II", 20_000, 20_000) + description.lead[12:]
    rejected = verdict(file.write())
    assert (rejected.reason, rejected.evidence["width"]) == ("too-large-to-decode", 20_000)


def test_warnings_are_limited_in_number_and_length_and_not_repeated():
    many = [f"{number} {'x' * 1000}" for number in range(100)]
    kept = notes.bounded(["", "twice", "twice", *many])
    assert kept[0] == "twice"
    assert [warning.split()[0] for warning in kept[1:]] == [str(number) for number in range(notes.MOST - 1)]
    assert {len(warning) for warning in kept[1:]} == {notes.LENGTH}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "0.5 seconds"),
        (1.001, "1 second"),
        (59.9, "59.9 seconds"),
        (60, "1:00 minutes"),
        (125.4, "2:05 minutes"),
        (3599.4, "59:59 minutes"),
        (3599.6, "1:00:00 hours"),
        (36_000 * 100 + 61, "1,000:01:01 hours"),
    ],
)
def test_durations_in_warnings_are_readable(seconds, text):
    assert verdicts.clock(seconds) == text


def test_a_limit_may_be_reached_but_not_exceeded():
    verdicts.bound("frames", 1000, 1000)
    with pytest.raises(Rejected, match="1,000 frames"):
        verdicts.bound("frames", 1001, 1000)
