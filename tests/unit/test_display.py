"""Posters are displayed correctly: crop, interlacing, transparency and colors."""

import io
import struct

import av
import pytest

from tests.support import fields, numbered
from tests.support.boxes import box, full, movie, numbers, picture_entry
from tests.support.files import File
from tests.support.pictures import near, pixels
from tools.videos import video
from video_intake.media.inspector import Inspection, Limits, inspect

RED, BLACK = (255, 0, 0), (0, 0, 0)
X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}


def inspected(content: bytes) -> Inspection:
    return inspect(File(content).reader(), Limits())


def still(left: tuple[int, int, int, int], right: tuple[int, int, int, int], *extensions: bytes) -> bytes:
    """A video with one picture, whose halves have these colors (with alpha)."""
    data = b"".join(bytes(left if x < 64 else right) for _ in range(96) for x in range(128))
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 128, 96, "rgba", 1
    frame = av.VideoFrame.from_bytes(data, 128, 96, "rgba")
    png = b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
    return movie(picture_entry(b"png ", 128, 96, *extensions), [png])


def test_transparent_parts_are_black():
    width, height, pixel = pixels(inspected(still((255, 0, 0, 255), (0, 255, 0, 0))).poster.jpeg)
    assert near(pixel(10, height // 2), RED)
    assert near(pixel(width - 10, height // 2), BLACK)


def test_a_picture_that_is_transparent_everywhere_is_shown():
    width, height, pixel = pixels(inspected(still((255, 0, 0, 0), (0, 0, 255, 0))).poster.jpeg)
    assert near(pixel(10, height // 2), RED)
    assert near(pixel(width - 10, height // 2), (0, 0, 255))


def clap(width: int, height: int, right: int = 0, down: int = 0) -> bytes:
    """A clean aperture with a moved center."""
    return box(b"clap", numbers(width, 1, height, 1), struct.pack(">iIiI", right, 1, down, 1))


def test_only_the_clean_aperture_is_shown():
    found = inspected(still((255, 0, 0, 255), (0, 0, 255, 255), clap(64, 48, right=-16)))
    assert (found.video.width, found.video.height) == (128, 96)
    assert (found.video.display_width, found.video.display_height) == (64, 48)
    width, height, pixel = pixels(found.poster.jpeg)
    assert (width, height) == (64, 48)
    assert near(pixel(40, 20), RED)  # of columns 16 to 79 the first 48
    assert near(pixel(58, 20), (0, 0, 255))


@pytest.mark.parametrize("crop", [(16, 8, 16, 8), (2, 0, 0, 0), (30, 0, 2, 0), (6, 10, 0, 0)])
def test_what_the_bit_stream_crops_is_not_shown(crop):
    """H.264's frame cropping, which decoders round off on the left unless they are told not to."""
    left, top, right, bottom = crop
    rectangle = f"x={left}:y={top}:w={320 - left - right}:h={180 - top - bottom}"
    params = {"preset": "ultrafast", "x264-params": "crop-rect=" + ",".join(map(str, crop))}
    picture = f"color=white,scale=320:180,drawbox={rectangle}:c=red:t=fill,drawbox={rectangle}:c=blue:t=12"
    film = video(size=(320, 180), seconds=0.5, audio=None, picture=picture, codec_options=params)
    found = inspected(film)
    assert (found.video.width, found.video.height) == (320 - left - right, 180 - top - bottom)
    width, height, pixel = pixels(found.poster.jpeg)
    assert near(pixel(width // 2, height // 2), RED)
    for x, y in ((3, 3), (width - 4, 3), (3, height - 4), (width - 4, height - 4)):
        assert near(pixel(x, y), (0, 0, 255))


@pytest.mark.parametrize("aperture", [clap(0, 0), clap(4000, 4000), clap(64, 48, right=5000), box(b"clap", bytes(5))])
def test_an_impossible_aperture_is_ignored(aperture):
    found = inspected(still((255, 0, 0, 255), (0, 0, 255, 255), aperture))
    assert (found.video.display_width, found.video.display_height) == (128, 96)


@pytest.mark.parametrize("described", [(128, 144), (128, 480), (192, 96), (640, 96)])
def test_an_aperture_that_leaves_no_line_or_column_is_ignored(described):
    """The description, which the aperture is relative to, is larger than the picture."""
    png = still((255, 0, 0, 255), (0, 0, 255, 255), clap(64, 48))
    wrong = png.replace(struct.pack(">HH", 128, 96), struct.pack(">HH", *described))
    width, height, pixel = pixels(inspected(wrong).poster.jpeg)
    assert (height, near(pixel(2, 2), RED), near(pixel(width - 3, height - 3), (0, 0, 255))) == (96, True, True)


def comb(picture: av.VideoFrame) -> float:
    """How much more neighboring lines differ than lines of the same field: more than 1.2 is a comb."""
    gray = picture.reformat(format="gray")
    line, data = gray.planes[0].line_size, bytes(gray.planes[0])
    rows = [data[row * line :][: gray.width] for row in range(gray.height)]

    def apart(step: int) -> float:
        pairs = zip(rows, rows[step:], strict=False)
        return sum(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True)) / (len(rows) - step)

    return apart(1) / apart(2)


@pytest.mark.parametrize(("first", "order"), [("top", "tt"), ("bottom", "bb")])
def test_interlaced_pictures_are_deinterlaced(first, order):
    moving = f"testsrc2,scroll=h=0.05,scale=320:120,weave=first_field={first},setfield={first[0]}ff"
    film = {"size": (320, 240), "seconds": 0.4, "audio": None, "codec_options": {"flags": "+ildct+ilme"}}
    content = video("mov", "mpeg2video", **film, picture=moving)
    found = inspected(content)
    assert found.video.field_order == order
    with av.open(io.BytesIO(content)) as film, av.open(io.BytesIO(found.poster.jpeg)) as poster:
        assert comb(next(film.decode(video=0))) > 1.2
        assert comb(next(poster.decode(video=0))) < 1.1


@pytest.mark.parametrize("fields", ["", ":tff=1"])
@pytest.mark.parametrize("marked", ["on", "off"])
def test_the_color_range_is_kept_when_deinterlacing(marked, fields):
    level = {"on": 200, "off": 16 + 200 * 219 // 255}[marked]
    params = {"preset": "ultrafast", "x264-params": f"fullrange={marked}{fields}"}
    gray = f"color=black,geq=lum={level}:cb=128:cr=128"
    found = inspected(video(size=(64, 96), seconds=0.2, audio=None, picture=gray, codec_options=params))
    assert (found.video.field_order == "progressive") == (not fields)
    _, _, pixel = pixels(found.poster.jpeg)
    assert all(abs(channel - 200) <= 4 for channel in pixel(30, 50)), pixel(30, 50)


@pytest.mark.parametrize("sync", [None, full(b"stss", numbers(1, 1)), full(b"stss", numbers(0))])
def test_a_picture_in_two_samples_is_combined(sync):
    """AVCHD, whose fields FFmpeg stores separately."""
    found = inspected(fields.film(12, sync))
    number = numbered.in_jpeg(found.poster.jpeg)
    assert number is not None
    assert found.video.field_order != "progressive"
    assert abs(found.poster.time - 2 * number) <= 2


def coded(color: str, matrix: str, size: tuple[int, int], **options: str) -> bytes:
    """A video of one color, converted with that matrix; only encoder options mark it."""
    picture = (
        f"color=c={color},format=gbrp,scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p,drawgrid=w=64:h=64"
    )
    return video(
        codec="libx265",
        size=size,
        seconds=0.2,
        audio=None,
        pixel_format="yuv420p",
        picture=picture,
        codec_options=options,
    )


@pytest.mark.parametrize(
    ("size", "matrix", "marks"),
    [
        ((320, 240), "bt601", ""),
        ((1280, 720), "bt709", ""),  # as players take high definition that is not marked
        ((1280, 534), "bt709", ""),  # by its width
        ((960, 720), "bt709", ""),  # by its height
        ((720, 576), "bt601", ""),
        ((1264, 528), "bt601", ""),
        ((320, 240), "bt709", ":colorprim=bt709:transfer=bt709:colormatrix=bt709"),
        ((1280, 720), "bt601", ":colormatrix=smpte170m"),
        ((1280, 720), "fcc", ":colormatrix=fcc"),
        ((320, 240), "smpte240m", ":colormatrix=smpte240m"),
        ((320, 240), "bt2020", ":colorprim=bt709:transfer=bt709:colormatrix=bt2020nc"),
    ],
)
@pytest.mark.parametrize("color", ["0xC02020", "0x20A040"])
def test_colors_use_the_stated_matrix(size, matrix, marks, color):
    options = {"preset": "ultrafast", "x265-params": "log-level=none:qp=4" + marks}
    _, _, pixel = pixels(inspected(coded(color, matrix, size, **options)).poster.jpeg)
    expected = bytes.fromhex(color[2:])
    assert max(abs(a - b) for a, b in zip(pixel(32, 32), expected, strict=True)) < 12


@pytest.mark.parametrize(
    ("matrix", "marks", "light"),
    [
        ("bt2020", ":colorprim=bt2020:transfer=bt2020-10:colormatrix=bt2020nc", (0.6274, 0.0691, 0.0164)),
        ("bt2020", ":colorprim=bt2020", (0.6274, 0.0691, 0.0164)),  # each of the two implies the other
        ("bt2020", ":colormatrix=bt2020nc", (0.6274, 0.0691, 0.0164)),
        ("bt709", ":colorprim=smpte432:colormatrix=bt709", (0.8225, 0.0332, 0.0171)),
    ],
)
def test_wide_gamut_colors_are_converted(matrix, marks, light):
    """BT.709's red is a duller signal in BT.2020 (ITU-R BT.2087) and in P3 (SMPTE EG 432-1), by its shares of light."""
    options = {"preset": "ultrafast", "x265-params": "log-level=none:qp=4" + marks}
    signal = "".join(f"{round(255 * channel ** (1 / 2.4)):02X}" for channel in light)
    _, _, pixel = pixels(inspected(coded(f"0x{signal}", matrix, (320, 240), **options)).poster.jpeg)
    assert max(abs(a - b) for a, b in zip(pixel(32, 32), RED, strict=True)) < 24, pixel(32, 32)


def colr(primaries: int, transfer: int, matrix: int) -> bytes:
    """Colors as in ITU-T H.273."""
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, 0))


@pytest.mark.parametrize("primaries", [2, 9])  # 2 is unspecified
@pytest.mark.parametrize(("transfer", "hdr"), [(16, "PQ"), (18, "HLG"), (1, None)])
def test_high_dynamic_range_that_only_the_container_states_is_shown(transfer, hdr, primaries):
    gray = (120, 120, 120, 255)
    found = inspected(still(gray, gray, colr(primaries, transfer, 2)))
    assert found.video.hdr == hdr
    _, _, pixel = pixels(found.poster.jpeg)
    assert (pixel(64, 48)[0] == pytest.approx(120, abs=4)) == (hdr is None)


def test_the_matrix_of_rgb_does_not_matter():
    """One that cannot be converted does not matter if there is nothing to convert."""
    red = bytes(RED) * 64 * 48
    found = inspected(movie(picture_entry(b"raw ", 64, 48, colr(1, 1, 8)), [red]))
    assert found.video.color_matrix == "ycgco"
    _, _, pixel = pixels(found.poster.jpeg)
    assert near(pixel(32, 24), RED)


def dolby(profile: int, compatible: int) -> bytes:
    """Dolby Vision's configuration (Dolby Vision Streams Within the ISO Base Media File Format, 3.2)."""
    return box(b"dvcC", b"\1\0", struct.pack(">H", profile << 9 | 6 << 3 | 5), bytes([compatible << 4]), bytes(19))


@pytest.mark.parametrize(
    ("profile", "compatible", "shown"),
    [(5, 0, False), (8, 4, True), (8, 1, True), (20, 0, False), (10, 0, False), (10, 1, True), (10, 4, True)],
)
def test_dolby_vision_only_colors_are_not_guessed(profile, compatible, shown):
    plain = video(codec="libx265", size=(160, 96), seconds=0.2, audio=None, codec_options=X265)
    at = plain.index(b"hvcC") - 4
    addition = dolby(profile, compatible)
    content = plain
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hev1"):  # the index is last: nothing moves
        start = plain.index(name) - 4
        size = struct.unpack_from(">I", plain, start)[0] + len(addition)
        content = content[:start] + numbers(size) + content[start + 4 :]
    found = inspected(content[:at] + addition + content[at:])
    assert found.video.dolby_vision_profile == profile
    assert bool(found.poster) == shown
    assert [warning for warning in found.warnings if f"Dolby Vision profile {profile}" in warning] or shown
