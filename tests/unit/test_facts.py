"""Facts as in ffprobe and MediaInfo, for files in which they are known."""

import io
import struct
from collections import Counter
from dataclasses import replace

import av
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc

from tests.fuzz.mutations import File as Parts
from tests.fuzz.mutations import Node
from tests.support.boxes import box, chunk, full, numbers, track
from tests.support.files import File
from tests.support.hostile import still
from tools.videos import video
from video_intake.media import filters, probe, riff
from video_intake.media.inspector import Inspection, Limits, inspect

SMALL = {"size": (96, 64), "seconds": 0.5, "rate": 10}
IN_MOOV = (b"moov",)
IN_ENTRY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")


def inspected(content: bytes) -> Inspection:
    return inspect(File(content).reader(), Limits())


@pytest.fixture(scope="module")
def plain() -> bytes:
    return video(**SMALL)  # the index last: what grows in it moves nothing


def added(content: bytes, parents: tuple[bytes, ...], more: bytes) -> bytes:
    """Adds a box at the end of the innermost of the nested `parents`."""
    file = Parts.parse(content)
    children = file.children
    for name in parents:
        inside = next(node for node in children if node.type == name).children
        assert inside is not None, "it would not be written"
        children = inside
    children.append(Node(more[4:8], more[8:]))
    return file.write()


def keys(**stated: str) -> bytes:
    """QuickTime metadata, as written by phones."""
    names = [name.replace("_", ".") for name in stated]
    items = [
        box(numbers(number), box(b"data", numbers(1, 0), text.encode()))
        for number, text in enumerate(stated.values(), 1)
    ]
    return box(
        b"meta",
        full(b"hdlr", bytes(4), b"mdta", bytes(13)),
        full(b"keys", numbers(len(names)), *(box(b"mdta", name.encode()) for name in names)),
        box(b"ilst", *items),
    )


def user_data(**stated: str) -> bytes:
    """QuickTime's older format: a box for each text."""
    texts = ((b"\xa9" + name.encode(), text.encode()) for name, text in stated.items())
    return box(b"udta", *(box(name, struct.pack(">HH", len(text), 0x15C7), text) for name, text in texts))


@pytest.mark.parametrize(
    ("stated", "make", "model", "time"),
    [
        (
            keys(
                com_apple_quicktime_make="Apple",
                com_apple_quicktime_model="iPhone 15",
                com_apple_quicktime_creationdate="2024-05-06T07:08:09+0200",
            ),
            "Apple",
            "iPhone 15",
            "2024-05-06T07:08:09+02:00",
        ),
        (keys(com_android_manufacturer="Google", com_android_model="Pixel 8"), "Google", "Pixel 8", None),
        (
            user_data(mak="Canon", mod="EOS R5", day="2024-05-06T07:08:09Z"),
            "Canon",
            "EOS R5",
            "2024-05-06T07:08:09+00:00",
        ),
        (user_data(mak="Canon\0", day="2024-05-06 07:08:09"), "Canon", None, "2024-05-06T07:08:09"),
        (user_data(mak="Casio", day="2024:05:06 07:08:09"), "Casio", None, "2024-05-06T07:08:09"),
        (user_data(day="2024-05-06T07:08:09.123+02:00"), None, None, "2024-05-06T07:08:09+02:00"),
        (user_data(mod="x" * 500, day="last summer"), None, "x" * 64, None),
        (keys(com_apple_quicktime_make=" ", make="Canon", com_android_model="\n", model="R5"), "Canon", "R5", None),
        (keys(make="Other", com_apple_quicktime_make="Apple", model=" X100 \n"), "Apple", "X100", None),
        (keys(model="Other", com_android_model="Pixel 8", make=" \n"), None, "Pixel 8", None),
    ],
)
def test_the_recording_device_and_time(plain, stated, make, model, time):
    found = inspected(added(plain, IN_MOOV, stated)).container
    assert (found.device_make, found.device_model, found.recorded_at) == (make, model, time)


@pytest.mark.parametrize("written", [b"Mon May  6 07:08:09 2024\n\0", b"2024/05/06 07:08:09\0", b"2024/05/06 07:08:09"])
def test_the_recording_time_of_an_avi(written):
    """After a chunk of odd size, there is a byte of padding."""
    content = video("avi", "mpeg4", **SMALL, audio=None)
    at = content.index(b"movi") - 8
    dated = content[:at] + chunk(b"IDIT", written) + content[at:]
    assert inspected(dated).container.recorded_at == "2024-05-06T07:08:09"
    assert not riff.scan(File(dated).reader()).irregular


@pytest.mark.parametrize(
    "stated",
    [
        keys(com_apple_quicktime_location_ISO6709="+52.5163+013.3777/"),
        user_data(xyz="+52.5163+013.3777/"),
        box(b"udta", full(b"loci", b"\x15\xc7Gate\0\0", struct.pack(">iii", 13 << 16, 52 << 16, 0), b"earth\0\0")),
    ],
)
def test_the_recording_location_is_not_published(plain, stated):
    content = added(plain, IN_MOOV, stated)
    with av.open(io.BytesIO(content)) as film:
        assert "+52." in str(film.metadata), "FFmpeg reads it"
    assert "+52." not in str(replace(inspected(content), poster=None))


@pytest.mark.parametrize(("number", "name"), [(0, None), (1, "top and bottom"), (2, "side by side")])
def test_stereo(plain, number, name):
    assert inspected(added(plain, IN_ENTRY, full(b"st3d", bytes([number])))).video.stereo == name


PACKINGS = ["checkerboard", "interleaved columns", "interleaved lines", "side by side", "top and bottom",
            "frame alternate"]  # fmt: skip


@pytest.mark.parametrize(("number", "name"), [*enumerate(PACKINGS)])
def test_stereo_that_only_the_bit_stream_states(number, name):
    """A frame packing arrangement (ITU-T H.264, D.2.26). The container precedes it."""
    params = {"preset": "ultrafast", "x264-params": f"frame-packing={number}"}
    content = video(codec="libx264", **SMALL, audio=None, codec_options=params)
    assert inspected(content).video.stereo == name
    other = added(content, IN_ENTRY, full(b"st3d", bytes([1 if number == 3 else 2])))
    assert inspected(other).video.stereo == ("top and bottom" if number == 3 else "side by side")


@pytest.mark.parametrize(
    ("projection", "name"),
    [(full(b"equi", bytes(16)), "equirectangular"), (full(b"cbmp", bytes(8)), "cubemap")],
)
def test_spherical(plain, projection, name):
    """Google's Spherical Video V2 RFC."""
    stated = box(b"sv3d", full(b"svhd", b"camera\0"), box(b"proj", full(b"prhd", bytes(12)), projection))
    assert inspected(added(plain, IN_ENTRY, stated)).video.spherical == name


def test_the_pixel_aspect_of_the_container_precedes_that_of_the_codec():
    params = {"preset": "ultrafast", "x264-params": "sar=4/3"}
    content = video(codec="libx264", **SMALL, audio=None, codec_options=params)
    of_codec = inspected(content).video
    assert (of_codec.sample_aspect_ratio, of_codec.display_width, of_codec.display_height) == ("4:3", 128, 64)
    found = inspected(added(content, IN_ENTRY, box(b"pasp", numbers(2, 1)))).video
    assert (found.sample_aspect_ratio, found.display_width, found.display_height) == ("2:1", 192, 64)
    for impossible in (numbers(0, 1), numbers(1, 0), numbers(1 << 31, 1)):
        found = inspected(added(content, IN_ENTRY, box(b"pasp", impossible))).video
        assert (found.sample_aspect_ratio, found.display_width) == ("4:3", 128)


@pytest.mark.parametrize(
    ("codec", "entry", "options", "color_range"),
    [  # limited range is the default of the first two codecs, which counts
        ("prores_ks", b"apch", {"profile": "hq"}, "tv"),
        ("libx265", b"hev1", {"preset": "ultrafast", "x265-params": "log-level=none"}, "tv"),
        ("libx264", b"avc1", {"preset": "ultrafast"}, "pc"),
    ],
)
def test_colors_that_the_bit_stream_does_not_specify_are_the_containers(codec, entry, options, color_range):
    """Some of FFmpeg's decoders replace what the container states by "unspecified"."""
    deep = {"pixel_format": "yuv422p10le"} if codec == "prores_ks" else {}
    plain = video("mov", codec, **SMALL, audio=None, codec_options=options, **deep)
    stated = box(b"colr", b"nclx", struct.pack(">HHHB", 9, 18, 9, 0x80))  # before the muxer's, if there is one
    found = inspected(added(plain, (*IN_ENTRY[:-1], entry), stated))
    assert found.video.hdr == "HLG"
    colors = found.video.color_primaries, found.video.color_transfer, found.video.color_matrix
    assert colors == ("bt2020", "arib-std-b67", "bt2020nc")
    assert found.video.color_range == color_range


def test_reserved_colors_of_the_bit_stream_do_not_count():
    """An encoder of ProRes that does not know them may write zeros (SMPTE RDD 36, 6.1.1)."""
    plain = video("mov", "prores_ks", **SMALL, audio=None, pixel_format="yuv422p10le")
    first, *others = plain.split(b"icpf")
    made = b"icpf".join([first, *(frame[:14] + bytes(2) + frame[16:] for frame in others)])
    assert made != plain
    stated = box(b"colr", b"nclx", struct.pack(">HHHB", 9, 18, 9, 0))
    found = inspected(added(made, (*IN_ENTRY[:-1], b"apch"), stated))
    assert (found.video.color_primaries, found.video.hdr) == ("bt2020", "HLG")


def test_rgb_has_a_matrix():
    """Number 0 of ITU-T H.273, table 4."""
    content = video(codec="libx264rgb", **SMALL, audio=None, pixel_format="rgb24")
    assert inspected(content).video.color_matrix == "gbr"


def test_reserved_colors_of_the_container_do_not_count():
    """As in old files: nothing that can be displayed is refused for it."""
    params = {"preset": "ultrafast", "x265-params": "log-level=none"}
    plain = video(codec="libx265", **SMALL, audio=None, codec_options=params)
    stated = box(b"colr", b"nclx", bytes(7))
    found = inspected(added(plain, (*IN_ENTRY[:-1], b"hev1"), stated))
    assert found.poster
    assert {found.video.color_primaries, found.video.color_transfer, found.video.color_matrix} == {None}


@pytest.mark.parametrize("unknown", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_an_unknown_duration_of_the_movie_is_not_a_claim(plain, unknown):
    """ISO/IEC 14496-12, 8.2.2: all ones. Some programs write 0 instead."""
    at = plain.index(b"mvhd") + 20
    found = inspected(plain[:at] + unknown + plain[at + 4 :])
    assert found.container.duration == inspected(plain).container.duration
    assert found.warnings == ()


COLORS = ["color_range", "color_primaries", "color_transfer", "color_matrix"]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ("bframes=0", [None, None, None, None]),
        ("colorprim=bt709:transfer=bt709:colormatrix=bt709:fullrange=off", [None, "bt709", "bt709", "bt709"]),
        ("colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m:fullrange=on", ["pc", *["smpte170m"] * 3]),
        ("colorprim=smpte432:transfer=iec61966-2-1:colormatrix=bt709", [None, "smpte432", "iec61966-2-1", "bt709"]),
    ],
)
def test_colors(marks, expected):
    content = video(codec="libx264", **SMALL, audio=None, codec_options={"preset": "ultrafast", "x264-params": marks})
    found = inspected(content).video
    assert [getattr(found, name) for name in COLORS] == [expected[0] or found.color_range, *expected[1:]]
    assert found.color_range in ({expected[0]} if expected[0] else {None, "tv"})


@pytest.mark.parametrize(
    ("option", "attribute", "names"),
    [
        ("range", "color_range", probe.RANGES),
        ("colorspace", "colorspace", probe.MATRICES),
        ("color_primaries", "color_primaries", {each: probe._name(ColorPrimaries, each) for each in ColorPrimaries}),
        ("color_trc", "color_trc", {each: probe._name(ColorTrc, each) for each in ColorTrc}),
    ],
)
def test_names_of_colors_are_those_of_ffmpeg(option, attribute, names):
    """Its filter `setparams` turns each name into the number that a file has."""
    stated = {number: name for number, name in names.items() if name}
    assert len(stated) >= len(names) - 1, "all but the unspecified"
    for number, name in stated.items():
        marked = filters.picture([VideoFrame(64, 48, "yuv420p")], [("setparams", f"{option}={name}")])
        assert getattr(marked, attribute) == number, name


def test_no_matrix_is_missing():
    """Of ITU-T H.273, table 4: 2 is unspecified, and 3 is reserved."""
    assert sorted(probe.MATRICES) == [0, 1, *range(4, 18)]


def test_an_unsupported_matrix_only_prevents_the_poster():
    options = {"preset": "ultrafast", "x265-params": "log-level=none:colormatrix=ycgco"}
    found = inspected(video(codec="libx265", **SMALL, audio=None, codec_options=options))
    assert found.video.color_matrix == "ycgco"
    assert found.poster is None
    assert any("matrix 8" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("container", "audio", "flags"),
    [("mp4", "aac", "faststart"), ("mp4", "aac", "frag_keyframe+empty_moov"), ("mov", "pcm_s16le", "faststart")],
)
def test_bit_rates_of_tracks_add_up_to_that_of_the_file(container, audio, flags):
    content = video(container, size=(320, 240), seconds=3, audio=audio, options={"movflags": flags})
    found = inspected(content)
    tracks = found.video.bit_rate + sum(track.bit_rate for track in found.audio)
    assert found.container.bit_rate == pytest.approx(8 * len(content) / found.container.duration, abs=1)
    assert 0.8 < tracks / found.container.bit_rate < 1.02  # the rest is the index


@pytest.mark.parametrize("flags", ["", "faststart", "frag_keyframe+empty_moov", "frag_keyframe"])
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_the_bit_rate_of_a_track_is_that_of_its_packets(container, flags):
    groups = {"preset": "ultrafast", "x264-params": "keyint=7:min-keyint=7:bframes=0:scenecut=0"}  # the first in `moov`
    options = {"movflags": flags} if flags else {}
    content = video(container, **SMALL | {"seconds": 2}, options=options, codec_options=groups)
    sums, ends = Counter(), Counter()
    with av.open(io.BytesIO(content)) as file:
        for packet in file.demux():
            kind = packet.stream.type
            sums[kind] += packet.size
            if packet.size:
                ends[kind] = max(ends[kind], (packet.pts + packet.duration) * packet.time_base)
    found = inspected(content)
    assert found.video.bit_rate == pytest.approx(float(8 * sums["video"] / ends["video"]), rel=0.03)
    assert found.audio[0].bit_rate == pytest.approx(float(8 * sums["audio"] / ends["audio"]), rel=0.03)


def test_the_bit_rates_of_an_avi():
    content = video("avi", "mpeg4", size=(320, 240), seconds=3, audio="pcm_s16le")
    found = inspected(content)
    assert found.audio[0].bit_rate == 2 * 16 * 48_000
    assert 0.9 < (found.video.bit_rate + found.audio[0].bit_rate) / found.container.bit_rate < 1.02


@pytest.mark.parametrize(("code", "language"), [("und", None), ("deu", "deu"), ("eng", "eng")])
def test_the_language_of_a_track(plain, code, language):
    """Three letters of five bits (ISO/IEC 14496-12, 8.4.2)."""

    def packed(text: str) -> bytes:
        first, second, third = (ord(letter) - 0x60 for letter in text)
        return struct.pack(">H", first << 10 | second << 5 | third)

    at = plain.rindex(b"mdhd") + 24  # of the sound
    assert plain[at : at + 2] == packed("und")
    [sound] = inspected(plain[:at] + packed(code) + plain[at + 2 :]).audio
    assert sound.language == language


def test_the_bit_rate_of_sound_is_measured(plain):
    """Not the one that its descriptions state (ISO/IEC 14496-1, 7.2.6.6, and 14496-12, 8.5.2) or its header implies."""
    lying, sound = plain, plain.index(b"esds")
    at = plain.rindex(b"mdhd") + 20
    lying = lying[:at] + numbers(int.from_bytes(plain[at : at + 4]) // 2) + lying[at + 4 :]
    for at in (plain.index(b"\x40\x15", sound) + 5, plain.index(b"btrt", sound) + 8):
        lying = lying[:at] + numbers(9_999_999, 9_999_999) + lying[at + 8 :]
    assert inspected(lying).audio[0].bit_rate == inspected(plain).audio[0].bit_rate < 200_000


def test_the_bit_rate_of_uncompressed_sound_is_that_of_its_format():
    """Old QuickTime files state that each of its samples has one byte."""
    content = video("mov", **SMALL, audio="pcm_s16le")
    at = content.rindex(b"stsz") + 8
    assert content[at : at + 4] == numbers(4)
    assert inspected(content[:at] + numbers(1) + content[at + 4 :]).audio[0].bit_rate == 2 * 16 * 48_000


def test_more_tracks_of_sound_than_are_described_are_counted():
    content = still(in_moov=b"".join(track([], number, b"soun") for number in range(2, 42)))
    found = inspected(content)
    assert (found.container.audio_tracks, len(found.audio)) == (40, 32)


@pytest.mark.parametrize("flags", ["", "frag_keyframe+empty_moov"])
def test_the_bit_rate_of_a_track_is_over_the_duration_of_that_track(flags):
    """The sound goes on after the pictures."""
    pictures, tone = video(**SMALL, audio=None), video(codec=None, seconds=3)
    file = io.BytesIO()
    with (
        av.open(file, "w", format="mp4", options={"movflags": flags} if flags else {}) as output,
        av.open(io.BytesIO(pictures)) as first,
        av.open(io.BytesIO(tone)) as second,
    ):
        copies = [(source, output.add_stream_from_template(source.streams[0])) for source in (first, second)]
        for source, copy in copies:
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = copy
                    output.mux(packet)
    both, alone = inspected(file.getvalue()), inspected(pictures)
    assert both.container.duration == pytest.approx(3, abs=0.1)
    assert both.video.bit_rate == pytest.approx(alone.video.bit_rate, rel=0.05)


@pytest.mark.parametrize(("detail", "order"), [(1, "tt"), (6, "bb"), (9, "tb"), (14, "bt")])
def test_the_order_of_fields_that_the_container_states(detail, order):
    """QuickTime's field handling (`fiel`): the field stored first, then the one shown first."""
    params = {"preset": "ultrafast", "x264-params": "tff=1"}
    content = video("mov", "h264", **SMALL, audio=None, codec_options=params)
    described = added(content, IN_ENTRY, box(b"fiel", bytes([2, detail])))
    assert inspected(described).video.field_order == order


@pytest.mark.parametrize(("marked", "order"), [("tff", "tt"), ("bff", "bb"), ("prog", "progressive")])
@pytest.mark.parametrize("container", ["mov", "avi"])
def test_the_order_of_fields(container, marked, order):
    film = SMALL | {"rate": 25, "audio": None, "picture": f"testsrc2,setfield={marked}"}
    options = {} if marked == "prog" else {"flags": "+ildct+ilme"}
    assert inspected(video(container, "mpeg2video", **film, codec_options=options)).video.field_order == order
