"""The inspector on real files, which are encoded here."""

import struct
from fractions import Fraction

import av
import pytest

from tests.support.files import File, verdict
from tests.support.pictures import pixels
from tools.videos import cut, video
from video_intake.media import inspector
from video_intake.media.boxes import boxes
from video_intake.media.inspector import Limits, inspect

LIMITS = Limits()
HEAD = 128 * 1024


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


@pytest.fixture(scope="module")
def plain():
    return video(size=(640, 360), rate=25, options={"movflags": "faststart"})


@pytest.fixture(scope="module")
def large():
    """Over 2 MB, so that only head and tail are fetched."""
    groups = {"preset": "ultrafast", "x264-params": "keyint=5:min-keyint=5:bframes=0"}
    film = {"size": (1280, 720), "seconds": 11, "codec_options": groups}
    return {
        "moov first": video(**film, options={"movflags": "faststart"}),
        "moov last": video("mov", **film),
        "avi": video("avi", "mpeg4", size=(1280, 720), seconds=8, audio="mp3", codec_options={"b": "20M"}),
    }


def test_the_facts_of_a_video(plain):
    found = inspect(File(plain).reader(), LIMITS)
    assert (found.container.format, found.container.fast_start, found.container.fragmented) == ("mp4", True, False)
    assert found.container.duration == pytest.approx(2, abs=0.05)
    assert found.container.bit_rate == pytest.approx(len(plain) * 8 / 2, rel=0.05)
    assert (found.video.codec, found.video.codec_tag, found.video.frame_rate) == ("h264", "avc1", "25/1")
    assert (found.video.width, found.video.height, found.video.frames) == (640, 360, 50)
    assert (found.video.display_width, found.video.display_height) == (640, 360)
    assert (found.video.pixel_format, found.video.bit_depth, found.video.hdr) == ("yuv420p", 8, None)
    (sound,) = found.audio
    assert (sound.codec, sound.sample_rate, sound.channels, sound.channel_layout) == ("aac", 48000, 2, "stereo")
    assert found.warnings == ()


def test_a_portrait_phone_video(plain):
    found = inspect(File(video("mov", rotation=-90, picture="rgbtestsrc")).reader(), LIMITS)
    assert (found.container.format, found.video.rotation) == ("mov", -90)
    assert (found.video.width, found.video.height) == (640, 360)
    assert (found.video.display_width, found.video.display_height) == (360, 640)
    width, height, pixel = pixels(found.poster.jpeg)
    assert (width, height) == (360, 640)
    # Stored are bars of red, green and blue from top to bottom; turned clockwise they stand from right to left.
    colours = [max(range(3), key=pixel(x, 500).__getitem__) for x in (340, 180, 20)]
    assert colours == [0, 1, 2]


def test_ten_bit_hevc():
    found = inspect(File(video(codec="libx265", seconds=0.5, audio=None)).reader(), LIMITS)
    assert (found.video.codec, found.video.profile, found.video.bit_depth) == ("hevc", "Main 10", 10)
    assert found.audio == ()
    assert found.poster


@pytest.mark.parametrize(("transfer", "hdr"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_high_dynamic_range_is_named(transfer, hdr):
    colours = f"log-level=none:transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"
    options = {"preset": "ultrafast", "x265-params": colours}
    found = inspect(File(video(codec="libx265", seconds=0.2, audio=None, codec_options=options)).reader(), LIMITS)
    assert (found.video.hdr, found.video.color_transfer) == (hdr, transfer)


def test_an_avi(large):
    found = inspect(File(large["avi"]).reader(), LIMITS)
    assert (found.container.format, found.container.fast_start, found.video.codec) == ("avi", None, "mpeg4")
    assert [track.codec for track in found.audio] == ["mp3"]


def test_a_fragmented_video():
    content = video(options={"movflags": "frag_keyframe+empty_moov"})
    found = inspect(File(content).reader(), LIMITS)
    assert found.container.fragmented
    assert found.container.duration == pytest.approx(2, abs=0.1)
    assert found.poster


@pytest.mark.parametrize(("layout", "fast"), [("moov first", True), ("moov last", False), ("avi", None)])
def test_a_large_file_costs_its_ends_and_one_key_frame(large, layout, fast):
    file = File(large[layout])
    reader = file.reader()
    found = inspect(reader, LIMITS)
    assert found.poster
    assert found.container.fast_start is fast
    ends = {(0, HEAD), (len(file.content) - HEAD, len(file.content))}
    assert set(file.ranges) >= ends
    assert len(file.ranges) <= 4
    assert reader.round_trips == len(file.ranges) - 1, "the ends are one round trip"
    assert reader.bytes_read == sum(end - start for start, end in file.ranges) < 1_000_000


def test_the_poster_is_not_a_black_frame():
    """At ten percent this video is black; a little later it is not."""
    bright_from_1 = "testsrc2,fade=type=in:start_time=1:duration=0.01"
    found = inspect(File(video(audio=None, seconds=6, picture=bright_from_1)).reader(), LIMITS)
    assert found.poster.time >= 1
    assert len(found.poster.jpeg) > 10_000


def test_a_video_that_is_black_throughout_has_a_black_poster():
    found = inspect(File(video(audio=None, picture="color=c=black")).reader(), LIMITS)
    assert found.poster.time == 0, "the first of equal ones"
    assert found.warnings == ()


def test_a_renamed_avi_is_read_as_what_it_is(large):
    assert inspect(File(large["avi"]).reader(), LIMITS).container.format == "avi"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"Dear all,\nthe video is attached.\n", "text"),
        ("Жил-был текст ".encode() * 400, "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "a JPEG picture"),
        (b"%PDF-1.7\n" + bytes(50), "a PDF document"),
        (b"BZh91AY&SY" + bytes(50), "a bzip2 archive"),
        (b"<!doctype html><title>404</title>", "a web page"),
        (b'\r\n  <HTML lang="en">', "a web page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error/>', "an XML document"),
        (b'\n{"message": "Forbidden"}', "a JSON document"),
        (b"{\\rtf1 Dear all}", "an RTF document"),
        (b"PK\x03\x04" + bytes(50), "a ZIP archive or an Office document"),
        (b"\x1a\x45\xdf\xa3" + bytes(50), "a Matroska or WebM video"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\nhttp://127.0.0.1/a.ts\n", "a playlist (M3U, HLS)"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a playlist (FFmpeg concat)"),
        (box(b"ftyp", b"avifmif1") + box(b"meta", bytes(20)) + box(b"mdat", bytes(50)), "a still picture (avif)"),
        (bytes(1000), "zeros"),
        (b"\0\0\0\x20ftyp"[:7], "an unknown format"),
    ],
)
def test_a_file_that_is_not_a_video_is_named(content, found):
    rejected = verdict(content)
    assert (rejected.reason, rejected.evidence["found"]) == ("not-a-video", found)


def test_an_empty_file():
    assert verdict(b"").reason == "empty"


def test_audio_only():
    assert verdict(video(codec=None)).reason == "audio-only"


@pytest.mark.parametrize("keep", [0.0001, 0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("layout", ["moov first", "moov last", "avi"])
def test_a_file_cut_off_anywhere_is_truncated(large, layout, keep):
    assert verdict(cut(large[layout], keep)).reason == "truncated"


@pytest.mark.parametrize("code", [b"encv", b"drmi"])
@pytest.mark.parametrize("flags", ["faststart", "frag_keyframe+empty_moov"])
def test_an_encrypted_track(flags, code):
    content = video(options={"movflags": flags})
    rejected = verdict(content.replace(b"avc1\0\0\0\0\0\0\0\1", code + b"\0\0\0\0\0\0\0\1"))
    assert (rejected.reason, rejected.evidence) == ("encrypted", {"codec": code.decode()})


def test_a_codec_without_a_decoder(plain):
    rejected = verdict(plain.replace(b"avc1\0\0\0\0\0\0\0\1", b"zzz9\0\0\0\0\0\0\0\1"))
    assert (rejected.reason, rejected.evidence["codec"]) == ("unsupported-codec", "zzz9")


def test_damaged_pictures(plain):
    at = plain.index(b"mdat") + 4
    rejected = verdict(plain[:at] + b"\x55" * (len(plain) - at))
    assert (rejected.reason, "Invalid data" in rejected.evidence["detail"]) == ("undecodable", True), "FFmpeg's words"


def test_frames_larger_than_allowed(plain):
    rejected = verdict(plain, Limits(max_pixels=640 * 359))
    assert (rejected.reason, rejected.evidence["width"]) == ("too-large-to-decode", 640)


def test_an_index_that_claims_millions_of_samples(plain):
    at = plain.index(b"stsz") + 8
    claims = struct.pack(">II", 1000, 4_000_000_000)  # all of one size: the claim takes eight bytes
    assert verdict(plain[:at] + claims + plain[at + 8 :]).reason == "too-large-to-decode"


def test_a_video_track_without_frames():
    content = video(options={"movflags": "frag_keyframe+empty_moov"})
    assert verdict(content[: content.index(b"moof") - 4]).reason == "no-frames"


def test_ffmpeg_reads_only_what_was_scanned(plain):
    """A second index after the first one is treated as free space."""
    at = plain.index(b"moov") - 4
    size = struct.unpack_from(">I", plain, at)[0]
    found = inspect(File(plain + plain[at : at + size]).reader(), LIMITS)
    assert found.container.video_tracks == 1


def test_a_failure_while_reading_is_not_a_verdict(large):
    file = File(large["moov first"])
    reader = file.reader()
    fetch = reader._fetch

    def breaks_in_the_middle(ranges):
        if any(HEAD < start < len(file.content) - HEAD for start, _ in ranges):
            raise ConnectionResetError("reset by peer")
        return fetch(ranges)

    reader._fetch = breaks_in_the_middle
    with pytest.raises(ConnectionResetError):
        inspect(reader, LIMITS)


def test_the_demuxers_are_named():
    assert {inspector.signatures.ISOBMFF, inspector.signatures.AVI} <= set(av.formats_available)


@pytest.mark.parametrize(
    "flags",
    [
        "frag_keyframe+empty_moov",  # with its own index at the end (mfra)
        "frag_keyframe+empty_moov+dash+global_sidx+skip_trailer",  # with a segment index in front (sidx)
        "frag_keyframe+empty_moov+skip_trailer",  # with none
        "frag_every_frame+empty_moov+skip_trailer",  # sound and pictures in separate fragments
    ],
)
def test_fragments_are_not_walked(flags):
    options = {"preset": "ultrafast", "x264-params": "keyint=6:min-keyint=6:bframes=0"}
    file = File(video(size=(1280, 720), seconds=10, options={"movflags": flags}, codec_options=options))
    reader = file.reader()
    found = inspect(reader, LIMITS)
    assert file.content.count(b"mfhd") >= 50
    assert reader.requests <= 8
    assert reader.round_trips <= 3
    assert reader.bytes_read < len(file.content) / 4
    assert found.container.duration == pytest.approx(10, abs=0.1)
    if "every_frame" not in flags:  # FFmpeg's own muxer gives the first frame another duration there
        assert found.video.frame_rate == "30/1"
    assert found.poster


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "frag_keyframe+empty_moov+skip_trailer"])
def test_a_few_large_fragments(flags):
    options = {"preset": "ultrafast", "x264-params": "keyint=60:min-keyint=60:bframes=0"}
    file = File(video(size=(1280, 720), seconds=10, options={"movflags": flags}, codec_options=options))
    found = inspect(file.reader(), LIMITS)
    assert file.content.count(b"mfhd") == 5
    assert len(file.ranges) <= 8
    assert found.container.duration == pytest.approx(10, abs=0.1)
    assert found.poster.time < 2, "near a tenth of the duration"


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "frag_keyframe+empty_moov+skip_trailer"])
def test_if_the_wanted_fragments_are_damaged_others_are_read(flags):
    options = {"preset": "ultrafast", "x264-params": "keyint=6:min-keyint=6:bframes=0"}
    content = bytearray(video(seconds=20, audio=None, options={"movflags": flags}, codec_options=options))
    for mdat in [mdat for mdat in boxes(memoryview(bytes(content)), 0, len(content)) if mdat.type == b"mdat"]:
        if 0.05 < mdat.start / len(content) < 0.15:
            content[mdat.body : mdat.end] = bytes(mdat.end - mdat.body)
    found = inspect(File(bytes(content)).reader(), LIMITS)
    assert found.poster
    assert "never written" in " ".join(found.warnings)


def test_if_the_first_fragment_is_black_another_is_read():
    """The poster is made from it while the others are searched."""
    options = {"preset": "ultrafast", "x264-params": "keyint=60:min-keyint=60:bframes=0"}
    flags = {"movflags": "frag_keyframe+empty_moov+skip_trailer"}
    dark = "testsrc2,fade=t=in:st=1.5:d=0.1"
    film = {"size": (1280, 720), "seconds": 10, "options": flags, "codec_options": options}
    found = inspect(File(video(**film, picture=dark)).reader(), LIMITS)
    assert found.poster.time >= 2
    assert found.container.duration == pytest.approx(10, abs=0.1)


def test_chapters():
    chapters = [
        {"id": 1, "start": 0, "end": 900, "time_base": Fraction(1, 1000), "metadata": {"title": "Anfang"}},
        {"id": 2, "start": 900, "end": 2000, "time_base": Fraction(1, 1000), "metadata": {"title": "Ende " * 100}},
    ]
    found = inspect(File(video(chapters=chapters)).reader(), LIMITS).container.chapters
    assert [(chapter.start, chapter.end) for chapter in found] == [(0, 0.9), (0.9, 2)]
    assert found[0].title == "Anfang"
    assert found[1].title == ("Ende " * 20).strip()


def test_an_hdr_poster_is_not_washed_out():
    """The same HLG pictures with and without the HDR transfer."""
    posters = []
    for transfer in ("arib-std-b67", "bt709"):
        colours = f"log-level=none:transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"
        options = {"preset": "ultrafast", "x265-params": colours}
        content = video(codec="libx265", seconds=0.2, audio=None, codec_options=options, picture="smptehdbars")
        _, _, pixel = pixels(inspect(File(content).reader(), LIMITS).poster.jpeg)
        posters.append([pixel(x, 100) for x in range(100, 600, 40)])
    saturation = [sum(max(colour) - min(colour) for colour in colours) for colours in posters]
    assert saturation[0] > 1.1 * saturation[1]
