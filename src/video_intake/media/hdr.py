"""Converts HDR and wide gamut to the colors of a JPEG, with small color tables for FFmpeg's haldclut filter.

The FFmpeg in the wheel has no zscale, and swscale's conversion takes about two seconds per frame; a table takes 35 ms.
It is a picture, not a file as for lut3d, so nothing is left on disk. Light of up to 1,000 cd/m2 is mapped to a display
whose white is HDR's reference white (203 cd/m2, ITU-R BT.2408) along the curve of ITU-R BT.2390, which preserves
shadows and skin tones and keeps highlights from clipping.
"""

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final

from av.video.frame import VideoFrame

LEVEL: Final = 4  # 16 points per edge: with tetrahedral interpolation, more makes no visible difference in a JPEG
WHITE: Final = 203.0  # cd/m2, of the picture
PEAK: Final = 1000.0  # cd/m2, of the video: usual for cameras and mastering; brighter light becomes white
GAMMA: Final = 2.4  # of a display for standard dynamic range: ITU-R BT.1886

type Color = tuple[float, float, float]

TO_BT709: Final[dict[str, tuple[Color, Color, Color]]] = {  # linear, from other primaries
    "BT2020": ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),  # ITU-R BT.2087
    "P3": ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),  # SMPTE EG 432-1, D65
}


def _pq(signals: Color) -> Color:
    """Light (cd/m2) of a PQ signal."""
    red, green, blue = (_pq_light(signal) for signal in signals)
    return red, green, blue


def _hlg(signals: Color) -> Color:
    """Light (cd/m2) of an HLG signal on a display of 1,000 cd/m2 (ITU-R BT.2100)."""

    def scene(signal: float) -> float:
        if signal <= 0.5:
            return signal * signal / 3
        return (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12

    red, green, blue = (scene(signal) for signal in signals)
    gain = 1000 * (0.2627 * red + 0.678 * green + 0.0593 * blue) ** 0.2
    return gain * red, gain * green, gain * blue


LIGHT: Final[dict[str, Callable[[Color], Color]]] = {"PQ": _pq, "HLG": _hlg}


@cache
def table(kind: str | None, primaries: str = "BT2020") -> VideoFrame:
    """The colors for "PQ" or "HLG" video, or None for SDR, as a Hald CLUT, made on first use (0.1 s).

    rgb48le, because haldclut takes the planes of planar formats in the wrong order.
    """
    steps = [step / (LEVEL**2 - 1) for step in range(LEVEL**2)]
    colors: list[int] = []
    for blue in steps:  # red runs fastest
        for green in steps:
            for red in steps:
                signals = red, green, blue
                shown = _display(LIGHT[kind](signals), primaries) if kind else _narrowed(signals, primaries)
                colors.extend(round(65535 * channel) for channel in shown)
    frame = VideoFrame(LEVEL**3, LEVEL**3, "rgb48le")
    plane, rows = frame.planes[0], memoryview(struct.pack(f"<{len(colors)}H", *colors))
    row = len(rows) // LEVEL**3
    plane.update(b"".join(bytes(rows[at : at + row]).ljust(plane.line_size, b"\0") for at in range(0, len(rows), row)))
    return frame


def _display(light: Color, primaries: str = "BT2020") -> Color:
    # Each channel separately, so that bright colors fade towards white, as on film; scaling all three equally leaves
    # clouds tinted and colors harsh.
    toned = [_mapped(channel) / WHITE for channel in light]
    red, green, blue = (_encoded(channel) for channel in _to_bt709(toned, primaries))
    return red, green, blue


def _narrowed(signals: Color, primaries: str) -> Color:
    """Clips each channel to BT.709; gray does not change."""
    linear = _to_bt709([signal**GAMMA for signal in signals], primaries)
    red, green, blue = (min(max(channel, 0.0), 1.0) ** (1 / GAMMA) for channel in linear)
    return red, green, blue


def _to_bt709(linear: Sequence[float], primaries: str) -> Iterator[float]:
    return (sum(a * b for a, b in zip(row, linear, strict=True)) for row in TO_BT709[primaries])


def _mapped(light: float) -> float:
    """Light (cd/m2) on the darker display: BT.2390-10, 5.4.1, steps 1 to 3, without black level lift."""
    top = _pq_signal(PEAK)
    value = min(_pq_signal(light) / top, 1.0)
    most = _pq_signal(WHITE) / top
    knee = 1.5 * most - 0.5
    if value > knee:
        t = (value - knee) / (1 - knee)
        value = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return _pq_light(value * top)


def _pq_light(signal: float) -> float:
    """SMPTE ST 2084."""
    power = signal ** (1 / 78.84375)
    return 10000 * math.pow(max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power), 1 / 0.1593017578125)


def _pq_signal(light: float) -> float:
    power = (light / 10000) ** 0.1593017578125
    return math.pow((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power), 78.84375)


def _encoded(linear: float) -> float:
    """sRGB (IEC 61966-2-1), the default for a JPEG without a profile."""
    linear = min(max(linear, 0.0), 1.0)
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
