"""Codecs, pixel formats and layouts from cameras, editors and old computers."""

import io
import struct
import zlib
from fractions import Fraction

import av
import pytest
from av.stream import Disposition

from tests.support.boxes import FTYP, REST, box, full, movie, numbers, picture_entry, png
from tests.support.files import File, verdict
from tests.support.pictures import pixels
from tests.support.watched import MAX_MB, Watched
from tools.videos import video
from video_intake.media.inspector import Inspection, Limits, inspect
from video_intake.media.verdicts import Rejected

FAST = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}  # of one frame x265 cannot tell the time
SHORT = {"size": (160, 96), "seconds": 0.3, "rate": 10, "audio": None}
BARS = "smptebars"  # large areas of one color: every codec gets them right

# (container, encoder, pixel format, options, what is found: codec, tag, pixel format, bits)
CODECS = [
    ("mp4", "libx264", "yuv420p", FAST, ("h264", "avc1", "yuv420p", 8)),
    ("mp4", "libx264", "yuv422p10le", FAST, ("h264", "avc1", "yuv422p10le", 10)),
    ("mp4", "libx264", "yuv444p", FAST, ("h264", "avc1", "yuv444p", 8)),
    ("mp4", "libx264rgb", "rgb24", FAST, ("h264", "avc1", "gbrp", 8)),
    ("mp4", "libx265", "yuv444p12le", FAST, ("hevc", "hev1", "yuv444p12le", 12)),
    ("mp4", "libvpx-vp9", "yuv420p", {"deadline": "realtime"}, ("vp9", "vp09", "yuv420p", 8)),
    ("mp4", "libsvtav1", "yuv420p10le", {"preset": "12"}, ("av1", "av01", "yuv420p10le", 10)),
    ("mp4", "mpeg2video", "yuv420p", {}, ("mpeg2video", "mp4v", "yuv420p", 8)),
    ("mov", "prores_ks", "yuv422p10le", {}, ("prores", "apch", "yuv422p10le", 10)),
    ("mov", "prores_ks", "yuva444p10le", {}, ("prores", "ap4h", "yuva444p12le", 12)),
    ("mov", "cfhd", "yuv422p10le", {}, ("cfhd", "CFHD", "yuv422p10le", 10)),
    ("mov", "dxv", "rgba", {}, ("dxv", "DXD3", "rgba", 8)),
    ("mov", "mjpeg", "yuvj444p", {}, ("mjpeg", "jpeg", "yuvj444p", 8)),
    ("mov", "jpeg2000", "yuv422p10le", {}, ("jpeg2000", "mjp2", "yuv422p10le", 10)),
    ("mov", "v210", "yuv422p10le", {}, ("v210", "v210", "yuv422p10le", 10)),
    ("mov", "r210", "gbrp10le", {}, ("r210", "r210", "gbrp10le", 10)),
    ("mov", "png", "rgba", {}, ("png", "png ", "rgba", 8)),
    ("mov", "png", "rgb48be", {}, ("png", "png ", "rgb48be", 16)),
    ("mov", "qtrle", "argb", {}, ("qtrle", "rle ", "argb", 8)),
    ("mov", "rpza", "rgb555le", {}, ("rpza", "rpza", "rgb555le", 5)),
    ("mov", "targa", "bgra", {}, ("targa", "tga ", "bgra", 8)),
    ("mov", "tiff", "rgb24", {}, ("tiff", "tiff", "rgb24", 8)),
    ("mov", "rawvideo", "rgb24", {}, ("rawvideo", "raw ", "rgb24", 8)),
    ("mov", "svq1", "yuv410p", {}, ("svq1", "SVQ1", "yuv410p", 8)),
    ("avi", "mpeg4", "yuv420p", {}, ("mpeg4", "FMP4", "yuv420p", 8)),
    ("avi", "msmpeg4v2", "yuv420p", {}, ("msmpeg4v2", "MP42", "yuv420p", 8)),
    ("avi", "msmpeg4", "yuv420p", {}, ("msmpeg4v3", "MP43", "yuv420p", 8)),
    ("avi", "wmv1", "yuv420p", {}, ("wmv1", "WMV1", "yuv420p", 8)),
    ("avi", "wmv2", "yuv420p", {}, ("wmv2", "WMV2", "yuv420p", 8)),
    ("avi", "libx264", "yuv420p", FAST, ("h264", "H264", "yuv420p", 8)),
    ("avi", "cinepak", "rgb24", {}, ("cinepak", "cvid", "rgb24", 8)),
    ("avi", "mjpeg", "yuvj422p", {}, ("mjpeg", "MJPG", "yuvj422p", 8)),
    ("avi", "huffyuv", "yuv422p", {}, ("huffyuv", "HFYU", "yuv422p", 8)),
    ("avi", "ffv1", "yuv444p16le", {}, ("ffv1", "FFV1", "yuv444p16le", 16)),
    ("avi", "utvideo", "gbrap", {}, ("utvideo", "ULRA", "gbrap", 8)),
    ("avi", "zlib", "bgr24", {}, ("zlib", "ZLIB", "bgr24", 8)),
    ("avi", "rawvideo", "yuyv422", {}, ("rawvideo", "YUY2", "yuyv422", 8)),
    ("avi", "rawvideo", "bgr24", {}, ("rawvideo", "", "bgr24", 8)),
    ("mov", "rawvideo", "rgb565be", {}, ("rawvideo", "B565", "rgb565be", 6)),
]


def found(content: bytes) -> Inspection:
    answer = inspect(File(content).reader(), Limits())
    assert answer.poster
    assert answer.warnings == ()
    return answer


def colours(answer: Inspection) -> list[int]:
    """The RGB colors of the seven bars in the poster."""
    width, height, pixel = pixels(answer.poster.jpeg)
    return [channel for bar in range(7) for channel in pixel((2 * bar + 1) * width // 14, height // 3)]


@pytest.fixture(scope="module")
def bars():
    """The colors of the bars with the most common codec."""
    return colours(found(video("mp4", "libx264", **SHORT, picture=BARS, pixel_format="yuv444p", codec_options=FAST)))


@pytest.mark.parametrize(("container", "encoder", "pixel_format", "options", "facts"), CODECS)
def test_a_codec(container, encoder, pixel_format, options, facts, bars):
    content = video(container, encoder, **SHORT, picture=BARS, pixel_format=pixel_format, codec_options=options)
    answer = found(content)
    shown = answer.video
    assert (shown.codec, shown.codec_tag, shown.pixel_format, shown.bit_depth) == facts
    assert (shown.width, shown.height, shown.frame_rate) == (*SHORT["size"], "10/1")
    coarse = 40 if encoder in ("svq1", "dxv", "cinepak", "rpza") else 24  # of 255
    assert max(abs(a - b) for a, b in zip(colours(answer), bars, strict=True)) < coarse


@pytest.mark.parametrize(
    ("container", "size", "rate", "pixel_format", "shape"),
    [
        ("mov", (720, 576), Fraction(25), "yuv420p", "16:15"),
        ("avi", (720, 480), Fraction(30000, 1001), "yuv411p", "8:9"),
    ],
)
def test_a_camcorders_tape(container, size, rate, pixel_format, shape):
    answer = found(
        video(container, "dvvideo", size=size, rate=rate, seconds=0.3, audio=None, pixel_format=pixel_format)
    )
    assert (answer.video.codec, answer.video.sample_aspect_ratio) == ("dvvideo", shape)
    assert answer.video.frame_rate == f"{rate.numerator}/{rate.denominator}"
    assert answer.video.display_width == round(size[0] * Fraction(*map(int, shape.split(":"))))


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 1), (3, 5)])
def test_a_tiny_picture(size):
    answer = found(movie(picture_entry(b"png ", *size), [png(*size)]))
    assert (answer.video.width, answer.video.height) == size == (answer.poster.width, answer.poster.height)


def test_a_huge_picture():
    content = video(codec="libx265", size=(7680, 4320), seconds=0.1, rate=10, audio=None, codec_options=FAST)
    with Watched() as child:
        answer = child.inspect(content)
    assert (answer.result["video"]["width"], answer.result["video"]["bitDepth"]) == (7680, 10)
    assert answer.result["poster"]["width"] == Limits().poster_edge
    assert answer.peak < MAX_MB / 2


ENCODER = {"h264": FAST}


def muxed(*, sound_first: bool = False, films: int = 1, gaps: bool = False, cover: bool = False) -> bytes:
    """A video with tracks in a given order and number."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        output.metadata["creation_time"] = "2026-07-29T12:34:56Z"
        kinds = ["h264"] * films + ["mjpeg"] * cover
        kinds.insert(0 if sound_first else len(kinds), "aac")
        rates = {"aac": 48000}
        tracks = [output.add_stream(kind, rate=rates.get(kind, 25), options=ENCODER.get(kind)) for kind in kinds]
        for number, track in enumerate(tracks):
            if track.name == "aac":
                track.metadata["language"] = "deu"
                continue
            track.width, track.height = 64 * (number + 1), 48
            track.pix_fmt = "yuvj420p" if track.name == "mjpeg" else "yuv420p"
            if track.name == "mjpeg":
                track.disposition = Disposition.attached_pic
        for track in tracks:
            for frame in _silence() if track.name == "aac" else _pictures(track, gaps):
                output.mux(track.encode(frame))
            output.mux(track.encode(None))
    return file.getvalue()


def _pictures(track, gaps: bool):
    for number in range(1 if track.name == "mjpeg" else 20):
        frame = av.VideoFrame(track.width, track.height, track.pix_fmt)
        for plane in frame.planes:
            plane.update(bytes((number * 40 + at) % 251 for at in range(plane.buffer_size)))
        frame.pts, frame.time_base = number * number if gaps else number, Fraction(1, 25)
        yield frame


def _silence():
    frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    yield frame


def test_the_audio_track_comes_first():
    answer = found(muxed(sound_first=True))
    assert (answer.video.codec, [track.codec for track in answer.audio]) == ("h264", ["aac"])
    assert answer.audio[0].language == "deu"
    assert answer.container.creation_time == "2026-07-29T12:34:56.000000Z"


def test_a_codec_without_a_decoder_after_the_audio_track_is_named():
    named = b"avc1\0\0\0\0\0\0\0\1"
    assert verdict(muxed(sound_first=True).replace(named, b"zzz9" + named[4:])).evidence == {"codec": "zzz9"}


def test_several_video_tracks():
    answer = found(muxed(films=3))
    assert answer.container.video_tracks == 3
    assert answer.video.width == 64, "the first of them is shown"


@pytest.mark.parametrize("enabled", [1, 2, 3])
def test_of_several_video_tracks_the_enabled_one_is_shown(enabled):
    """The flag `track_enabled` of its header (ISO/IEC 14496-12, 8.3.2)."""
    first, *tracks = muxed(films=3).split(b"tkhd")
    assert all(track[:4] == numbers(3) or track[:4] == numbers(2) for track in tracks[:3])
    flags = [numbers(3 if number == enabled else 2) for number in (1, 2, 3, 4)]
    content = b"tkhd".join([first, *(flag + track[4:] for flag, track in zip(flags, tracks, strict=True))])
    answer = found(content)
    assert answer.video.width == 64 * enabled
    assert answer.poster.width == 64 * enabled


def test_a_cover_picture_is_not_a_video():
    answer = found(muxed(cover=True))
    assert (answer.container.video_tracks, answer.video.codec) == (1, "h264")


def test_a_cover_picture_without_video_is_audio_only():
    with pytest.raises(Rejected, match="audio-only"):
        inspect(File(muxed(films=0, cover=True)).reader(), Limits())


@pytest.mark.parametrize(
    ("version", "header"),
    [(0, numbers(0, 0, 1000, 3060)), (1, bytes(16) + numbers(1000, 0, 3060))],
    ids=["32 bit", "64 bit"],
)
def test_the_duration_is_the_stated_one(version, header):
    """Tracks are often a little longer or shorter, but players use the movie header."""
    content = movie(
        picture_entry(b"png ", 64, 48), [png(64, 48)] * 3, head=full(b"mvhd", header, REST, version=version)
    )
    assert found(content).container.duration == 3.06


def test_frames_of_all_lengths():
    answer = found(muxed(gaps=True))
    assert answer.container.duration == pytest.approx(19 * 19 / 25, abs=0.1)
    assert Fraction(answer.video.frame_rate) == pytest.approx(20 / answer.container.duration, rel=0.1)


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        (numbers(2, 500, 0xFFFFFFFF, 1 << 16, 1000, 1000, 1 << 16), 1500),  # begins with half a second of nothing
        (numbers(3, 1000, 2000, 1 << 16, 1000, 0, 1 << 16, 1000, 1000, 1 << 16), 3000),  # the last second first
        (numbers(1, 9000, 1000, 0), 9000),  # one picture, held
    ],
)
def test_an_edit_list(edits, shown):
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48)] * 3, edits=full(b"elst", edits), shown=shown)
    assert found(content).container.duration == shown / 1000


def test_a_video_trimmed_between_two_key_frames():
    """Trimmed like on phones: the key frame before the cut is still there, but must not be shown."""
    one_group = {"preset": "ultrafast", "x264-params": "keyint=300:bframes=2"}
    content = video(size=(96, 64), seconds=2, rate=25, audio=None, codec_options=one_group)
    at = content.index(b"elst") + 12
    duration, start = struct.unpack_from(">II", content, at)
    half = struct.pack(">II", duration // 2, start + 12800)  # the second half: 12,800 is a second to FFmpeg's muxer
    content = content[:at] + half + content[at + 8 :]
    at = content.index(b"mvhd") + 20
    answer = found(content[:at] + struct.pack(">I", duration // 2) + content[at + 4 :])
    assert answer.poster.time == pytest.approx(0, abs=0.04)


def test_old_quicktime_files():
    """Without ftyp, and with uppercase names."""
    content = video("mov", **SHORT, codec_options=FAST)
    old = content.replace(b"ftypqt  ", b"wideqt  ")
    assert old != content
    answer = found(old)
    assert (answer.container.format, answer.container.brand) == ("mov", None)


def test_other_video_boxes_in_front():
    head = box(b"ftyp", FTYP)
    content = movie(picture_entry(b"png ", 64, 48), [png(64, 48)], before=box(b"uuid", bytes(400)) + box(b"wide"))
    assert content.startswith(head)
    assert found(content).container.fast_start


def test_a_compressed_index_is_read():
    """QuickTime's `cmov`: moov with zlib data."""
    sample = png(64, 48)
    media = box(b"ftyp", FTYP) + box(b"mdat", sample)
    at = len(media) - len(sample)
    content = movie(picture_entry(b"png ", 64, 48), [sample], changed={b"stco": full(b"stco", numbers(1, at))})
    begin = content.index(b"moov") - 4
    index = content[begin:][: struct.unpack_from(">I", content, begin)[0]]
    packed = box(b"cmvd", numbers(len(index)), zlib.compress(index))
    assert found(media + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), packed))).video.codec == "png"
