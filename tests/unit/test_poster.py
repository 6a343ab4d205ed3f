import math
import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc

from tests.support.pictures import near, pixels
from video_intake.media import onward, orientation, poster
from video_intake.media.display import Display

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 160, 0), (0, 0, 255), (255, 255, 255)


def quarters(width=64, height=32, pixel_format="yuv444p"):
    """Red and green above blue and white."""
    rows = [[RED, GREEN], [BLUE, WHITE]]
    data = b"".join(bytes([*rows[y * 2 // height][x * 2 // width], 255]) for y in range(height) for x in range(width))
    return av.VideoFrame.from_bytes(data, width, height, "rgba").reformat(format=pixel_format)


def matrix(a, b, c, d):
    return struct.pack("=9i", *(round(65536 * value) for value in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)


@pytest.mark.parametrize(
    ("signs", "rotation", "mirrored", "upper_left", "upper_right"),
    [
        ((1, 0, 0, 1), 0, False, RED, GREEN),
        ((0, 1, -1, 0), -90, False, BLUE, RED),  # a phone held upright
        ((-1, 0, 0, -1), -180, False, WHITE, BLUE),
        ((0, -1, 1, 0), 90, False, GREEN, WHITE),
        ((-1, 0, 0, 1), -180, True, GREEN, RED),  # left and right swapped
        ((1, 0, 0, -1), 0, True, BLUE, WHITE),
        ((0, 1, 1, 0), -90, True, RED, BLUE),
        ((0, -1, -1, 0), 90, True, WHITE, GREEN),
    ],
)
def test_the_picture_is_upright_in_all_eight_orientations(signs, rotation, mirrored, upper_left, upper_right):
    turn = orientation.read(matrix(*signs))
    assert (turn.rotation, turn.mirrored) == (rotation, mirrored)
    made = poster.make(quarters(), Display(turned=turn), 1280, None)
    width, height, pixel = pixels(made.jpeg)
    assert (made.width, made.height) == (width, height) == ((32, 64) if turn.swaps_sides else (64, 32))
    assert near(pixel(3, 3), upper_left)
    assert near(pixel(width - 4, 3), upper_right)


@pytest.mark.parametrize("clockwise", [angle for angle in range(0, 360, 15) if angle % 90 != 45])
@pytest.mark.parametrize("mirror", [1, -1])
@pytest.mark.parametrize("scale", [0.5, 1, 3])
def test_other_angles_become_the_nearest_right_angle(clockwise, mirror, scale):
    angle = math.radians(clockwise)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    turn = orientation.read(matrix(cosine, sine, -mirror * sine, mirror * cosine))
    assert (turn.rotation + 90 * round(clockwise / 90)) % 360 == 0
    assert turn.mirrored == (mirror < 0)
    assert turn.swaps_sides == (round(clockwise / 90) % 2 == 1)


@pytest.mark.parametrize("signs", [(1, 1, -1, 1), (-1, 1, -1, -1), (-1, -1, 1, -1), (1, -1, 1, 1), (-1, 1, 1, 1)])
def test_halfway_between_two_right_angles_width_stays_width(signs):
    """FFmpeg turns by 45 degrees, which would leave empty corners."""
    turn = orientation.read(matrix(*signs))
    assert turn.signs == (signs[0], 0, 0, signs[3])


@pytest.mark.parametrize("nothing", [None, b"", b"\0" * 35, b"\0" * 36])
def test_without_a_matrix_the_picture_is_not_rotated(nothing):
    assert orientation.read(nothing) == orientation.Orientation()


@pytest.mark.parametrize(
    ("size", "aspect", "longest", "expected"),
    [
        ((64, 32), Fraction(1), 1280, (64, 32)),  # never larger than it is
        ((64, 32), Fraction(1), 32, (32, 16)),
        ((32, 64), Fraction(1), 32, (16, 32)),  # the longer edge, whichever it is
        ((64, 64), Fraction(16, 11), 1280, (93, 64)),  # pixels that are not square
        ((64, 64), Fraction(12, 11), 1280, (70, 64)),  # 69.8
        ((64, 64), Fraction(4), 1280, (256, 64)),
        ((64, 64), Fraction(1, 4), 1280, (16, 64)),
        ((64, 64), Fraction(4), 128, (128, 32)),  # the edge is that of square pixels
        ((64, 64), Fraction(1, 4), 32, (8, 32)),
        ((64, 64), Fraction(1000), 1280, (64, 64)),  # absurd: passed over
        ((64, 64), Fraction(1, 1000), 1280, (64, 64)),
        ((1, 1), Fraction(1), 1280, (1, 1)),
        ((4000, 2), Fraction(1), 1280, (1280, 1)),
    ],
)
def test_size_and_aspect(size, aspect, longest, expected):
    made = poster.make(quarters(*size), Display(aspect), longest, None)
    assert (made.width, made.height) == pixels(made.jpeg)[:2] == expected


@pytest.mark.parametrize(
    "pixel_format",
    ["yuv420p", "yuv422p10le", "yuv444p", "yuv444p12le", "yuva420p", "gbrp10le", "rgb24", "bgra", "gray", "pal8"],
)
def test_every_pixel_format_becomes_a_picture(pixel_format):
    if pixel_format == "pal8":  # nothing converts to it: 1 for white, 0 for black
        frame = av.VideoFrame(64, 32, "pal8")
        frame.planes[1].update(struct.pack("<II", 0xFF000000, 0xFFFFFFFF).ljust(1024, b"\0"))
        frame.planes[0].update(b"\1" * frame.planes[0].buffer_size)
    else:
        frame = quarters(pixel_format=pixel_format)
    _, _, pixel = pixels(poster.make(frame, Display(), 1280, None).jpeg)
    assert near(pixel(60, 28), WHITE)
    if pixel_format not in ("gray", "pal8"):
        assert near(pixel(3, 3), RED)


def test_colors_of_high_definition_video_are_kept():
    """HD video is BT.709 and JPEG is BT.601: without conversion, green is visibly wrong."""
    frame = quarters(pixel_format="rgb24").reformat(format="yuv444p", dst_colorspace="ITU709")
    frame.colorspace = 1
    _, _, pixel = pixels(poster.make(frame, Display(), 1280, None).jpeg)
    assert all(abs(a - b) < 12 for a, b in zip(pixel(60, 3), GREEN, strict=True)), pixel(60, 3)


@pytest.mark.parametrize("matrix", [0, 2, 3])
def test_a_matrix_that_is_not_marked_does_not_prevent_a_poster(matrix):
    """ITU-T H.273, table 4: RGB, unspecified and reserved."""
    frame = quarters()
    frame.colorspace = matrix
    _, _, pixel = pixels(poster.make(frame, Display(), 1280, None).jpeg)
    assert near(pixel(3, 3), RED)


@pytest.mark.parametrize("crop", [(0, 0, 0, 0), (2, 4, 6, 8)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuyv422"])
@pytest.mark.parametrize(("number", "name"), [(1, "MPEG"), (2, "JPEG")])
@pytest.mark.parametrize("level", [40, 128, 230])
def test_levels_are_kept_in_both_color_ranges(level, number, name, pixel_format, crop):
    """FFmpeg converts packed pixels before it crops them, and forgets their range."""
    gray = av.VideoFrame.from_bytes(bytes([level, level, level, 255]) * 64 * 32, 64, 32, "rgba")
    frame = gray.reformat(format=pixel_format, dst_colorspace="ITU601", dst_color_range=name)
    frame.color_range = number
    _, _, pixel = pixels(poster.make(frame, Display(crop=crop), 1280, None).jpeg)
    assert all(abs(channel - level) <= 3 for channel in pixel(20, 10)), pixel(20, 10)


@pytest.mark.parametrize(("time", "stated"), [(1.23456789, 1.234568), (0.0, 0.0), (-0.04, 0.0), (None, None)])
def test_the_time_is_in_microseconds_and_never_before_the_beginning(time, stated):
    assert poster.make(quarters(), Display(), 1280, time).time == stated


def test_blank_frames_are_recognized():
    flat = av.VideoFrame.from_bytes(bytes([40]) * 64 * 32 * 4, 64, 32, "rgba")
    assert poster.spread(flat) < poster.BLANK_SPREAD < poster.spread(quarters())


@pytest.mark.parametrize("apart", [1, 5, 8, 50])
@pytest.mark.parametrize("middle", [60, 120])
def test_the_contrast_is_the_standard_deviation_of_luma(middle, apart):
    """Of two equal halves it is half their difference; a dark room has more than a fade."""
    rows = b"".join(bytes([level] * 3 + [255]) * 32 for level in (middle - apart, middle + apart)) * 32
    halves = av.VideoFrame.from_bytes(rows, 64, 32, "rgba")
    assert poster.spread(halves) == pytest.approx(apart, abs=0.6)
    assert (poster.spread(halves) < poster.BLANK_SPREAD) == (apart < 6)


@pytest.mark.parametrize("crop", [(0, 0, 1, 0), (1, 0, 0, 0), (3, 0, 5, 0)])
def test_a_crop_may_begin_at_any_pixel(crop):
    """Chroma has half as many, but luma is exact."""
    top, _, left, _ = crop
    rows = b"".join(bytes([255 * (x >= left and y >= top)] * 3 + [255]) for y in range(32) for x in range(64))
    frame = av.VideoFrame.from_bytes(rows, 64, 32, "rgba").reformat(format="yuv420p")
    _, _, pixel = pixels(poster.make(frame, Display(crop=crop), 1280, None).jpeg)
    assert near(pixel(0, 0), WHITE)


@pytest.mark.parametrize("wide", [{"transfer": ColorTrc.SMPTE2084}, {}])
def test_a_picture_with_other_colors_is_upright_too(wide):
    turn = orientation.read(matrix(0, 1, -1, 0))
    frame = quarters(pixel_format="rgb24")
    frame.color_primaries = ColorPrimaries.SMPTE432
    made = poster.make(frame, Display(turned=turn, **wide), 1280, None)
    width, height, pixel = pixels(made.jpeg)
    assert (made.width, made.height) == (width, height) == (32, 64)
    left, right = pixel(3, 3), pixel(width - 4, 3)
    assert (max(left), max(right)) == (left[2], right[0]), "blue and red"


@pytest.mark.parametrize("level", range(5, 256, 25))
def test_gray_stays_as_it_is_in_wide_gamut(level):
    gray = av.VideoFrame.from_bytes(bytes([level, level, level, 255]) * 64 * 32, 64, 32, "rgba").reformat(
        format="rgb24"
    )
    gray.color_primaries = ColorPrimaries.SMPTE432
    _, _, pixel = pixels(poster.make(gray, Display(), 1280, None).jpeg)
    assert all(abs(channel - level) <= 3 for channel in pixel(20, 10)), pixel(20, 10)


def test_both_bytes_and_time_are_limits_of_searching():
    """One may be used up long before the other: by large pictures, or by those that take long to decode."""
    reader = SimpleNamespace(remaining=10.0)
    budget = onward.Budget(reader, 400, until=5.0).part(4)
    assert [budget.take(50) for _ in range(3)] == [True, True, False]
    assert not onward.Budget(reader, 400, until=15.0).take(1)


def test_the_contrast_is_that_of_what_is_shown():
    """Transparent parts are black, unless everything is transparent: some programs leave that channel empty."""

    def contrast(*halves):
        data = b"".join(bytes(half) * 32 for half in halves) * 64
        return poster.spread(av.VideoFrame.from_bytes(data, 64, 64, "rgba"))

    assert contrast((*WHITE, 255), (*WHITE, 255)) < poster.BLANK_SPREAD < contrast((*WHITE, 255), (*WHITE, 0))
    assert contrast((*WHITE, 0), (0, 0, 0, 0)) > poster.BLANK_SPREAD
