import struct
from fractions import Fraction
from itertools import pairwise

import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc

from video_intake.media import hdr, poster
from video_intake.media.display import Display

RED, GREEN, BLUE = (1, 0, 0), (0, 1, 0), (0, 0, 1)
FROM_BT709 = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))  # ITU-R BT.2087


def entries(kind):
    """(signal, output) for each point of the table, red fastest."""
    side, plane = hdr.LEVEL**2, hdr.table(kind).planes[0]
    row = plane.line_size
    content = b"".join(bytes(plane)[at : at + 6 * hdr.LEVEL**3] for at in range(0, row * hdr.LEVEL**3, row))
    for number, output in enumerate(struct.iter_unpack("<3H", content)):
        signal = (number % side, number // side % side, number // side**2)
        yield tuple(step / (side - 1) for step in signal), tuple(channel / 65535 for channel in output)


@pytest.mark.parametrize("kind", ["PQ", "HLG"])
def test_gray_stays_gray_and_brightness_keeps_its_order(kind):
    greys = [output for signal, output in entries(kind) if len(set(signal)) == 1]
    assert all(max(grey) - min(grey) < 0.01 for grey in greys)
    levels = [grey[0] for grey in greys]
    assert levels == sorted(levels)
    assert levels[0] == pytest.approx(0, abs=0.01)
    assert levels[-1] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", ["PQ", "HLG"])
def test_every_color_is_within_the_range_of_a_jpeg(kind):
    assert all(0 <= channel <= 1 for _, output in entries(kind) for channel in output)


@pytest.mark.parametrize("color", [RED, GREEN, BLUE, (1, 0.5, 0.25), (0.2, 0.2, 0.2)])
def test_a_color_within_sdr_is_unchanged(color):
    """60 cd/m2 is below the knee of the curve, so only primaries and transfer change."""
    wide = [60 * sum(a * b for a, b in zip(row, color, strict=True)) for row in FROM_BT709]
    shown = hdr._display(hdr.LIGHT["PQ"](tuple(hdr._pq_signal(light) for light in wide)))
    expected = [hdr._encoded(60 / hdr.WHITE * channel) for channel in color]
    assert shown == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("primaries", "light"),
    [(9, (0.6274, 0.0691, 0.0164)), (12, (0.8225, 0.0332, 0.0171)), (2, (0.6274, 0.0691, 0.0164))],
)
def test_primaries_of_high_dynamic_range_are_those_that_are_stated(primaries, light):
    """BT.709's red in BT.2020, the default, and in P3 (ITU-T H.273, table 2)."""
    signals = [round(65535 * hdr._pq_signal(60 * channel)) for channel in light]
    frame = VideoFrame(64, 48, "rgb48le")
    frame.planes[0].update(struct.pack("<3H", *signals) * 64 * 48)
    frame.pts, frame.time_base, frame.color_primaries = 0, Fraction(1, 25), primaries
    shown = poster.upright(frame, Display(transfer=ColorTrc.SMPTE2084), 64).reformat(format="rgb24")
    red = 255 * hdr._encoded(60 / hdr.WHITE)
    assert [*bytes(shown.planes[0])[:3]] == pytest.approx([red, 0, 0], abs=16)


@pytest.mark.parametrize("wanted", [RED, GREEN, BLUE])
@pytest.mark.parametrize("kind", ["PQ", "HLG"])
def test_red_stays_red(kind, wanted):
    """A table with swapped axes is still valid, but the picture would show it."""
    frame = VideoFrame(64, 48, "rgb48le")
    frame.planes[0].update(struct.pack("<3H", *(round(0.7 * 65535 * channel) for channel in wanted)) * 64 * 48)
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    transfer = {"PQ": ColorTrc.SMPTE2084, "HLG": ColorTrc.ARIB_STD_B67}[kind]
    shown = poster.upright(frame, Display(transfer=transfer), 64).reformat(format="rgb24")
    pixel = bytes(shown.planes[0])[:3]
    assert pixel[wanted.index(1)] > 150
    assert all(channel < 60 for channel, share in zip(pixel, wanted, strict=True) if not share), pixel


@pytest.mark.parametrize("transfer", [ColorTrc.UNSPECIFIED, ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
@pytest.mark.parametrize("width", [998, 1000, 1024])  # rows with and without padding
def test_opaque_parts_do_not_change_with_transparency(width, transfer):
    """With 8 bits per channel, a smooth gradient would have steps, which the curves of HDR make wider."""
    gradient = VideoFrame(width, 16, "rgba64le")
    row = b"".join(struct.pack("<4H", *[64 * x] * 3, 65535) for x in range(width))
    gradient.planes[0].update(row.ljust(gradient.planes[0].line_size, b"\0") * 16)
    pictures = (
        poster.upright(gradient.reformat(format=kind), Display(transfer=transfer), width)
        for kind in ("gbrap12le", "gbrp12le")
    )
    with_alpha, without = ([*bytes(picture.planes[0])[:width]] for picture in pictures)
    assert with_alpha == pytest.approx(without, abs=1)


def test_highlights_are_not_clipped():
    """There is detail between HDR's reference white and the peak."""
    levels = [hdr._display((light, light, light))[0] for light in (203, 300, 400, 700)]
    assert levels == sorted(levels)
    assert levels[0] < 0.93
    assert all(after - before > 0.01 for before, after in pairwise(levels))


@pytest.mark.parametrize(
    ("kind", "signals", "light"),
    [  # cd/m2
        ("PQ", (0, 0, 0), (0, 0, 0)),
        ("PQ", (1, 1, 1), (10_000, 10_000, 10_000)),
        ("PQ", (0.5807, 0.5807, 0.5807), (203, 203, 203)),  # reference white: ITU-R BT.2408, table 1
        ("PQ", (0.7518, 0.5081, 0), (1000, 100, 0)),  # ITU-R BT.2408, table 1
        ("HLG", (0, 0, 0), (0, 0, 0)),
        ("HLG", (1, 1, 1), (1000, 1000, 1000)),
        ("HLG", (0.75, 0.75, 0.75), (203, 203, 203)),  # reference white: ITU-R BT.2408, table 1
        ("HLG", (0.38, 0.38, 0.38), (26.4, 26.4, 26.4)),  # 18 % gray card: ITU-R BT.2408, table 1
        ("HLG", (1, 0, 0), (1000 * 0.2627**0.2, 0, 0)),  # the luminance of BT.2020's primaries
        ("HLG", (0, 1, 0), (0, 1000 * 0.678**0.2, 0)),
        ("HLG", (0, 0, 1), (0, 0, 1000 * 0.0593**0.2)),
    ],
)
def test_the_light_of_a_signal(kind, signals, light):
    assert hdr.LIGHT[kind](signals) == pytest.approx(light, rel=0.01, abs=0.01)
