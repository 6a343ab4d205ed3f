"""Rotation, mirroring and pixel aspect of a stored picture."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

STRETCH: Final = 4  # pixel aspects beyond 4:1 are damage, not anamorphic film (2:1 at most)

# The signs of the file's display matrix [a b; c d] (ISO/IEC 14496-12 6.2.2), and the filters that apply it. FFmpeg's
# rotation angle does not distinguish a mirrored picture from one that is upside down.
UPRIGHT: Final[dict[tuple[int, int, int, int], tuple[tuple[str, str], ...]]] = {
    (1, 0, 0, 1): (),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


@dataclass(frozen=True)
class Orientation:
    """How to rotate and mirror the stored picture for display."""

    rotation: int = 0  # degrees, counter-clockwise as ffprobe prints it: a portrait phone video has -90
    mirrored: bool = False
    signs: tuple[int, int, int, int] = (1, 0, 0, 1)

    @property
    def swaps_sides(self) -> bool:
        """Whether displayed width and height are stored height and width."""
        return self.signs[0] == 0


def read(display_matrix: bytes | None) -> Orientation:
    """Reads FFmpeg's display matrix (nine 32-bit integers, native order); upright by default."""
    if not display_matrix or len(display_matrix) < 36:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", display_matrix[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):  # the nearest right angle: others would leave empty corners
        signs = (1 if a >= 0 else -1, 0, 0, 1 if d >= 0 else -1)
    else:
        signs = (0, 1 if b >= 0 else -1, 1 if c >= 0 else -1, 0)
    rotation = {(1, 0): 0, (0, 1): -90, (-1, 0): -180, (0, -1): 90}[signs[:2]]
    return Orientation(rotation, signs[0] * signs[3] - signs[1] * signs[2] < 0, signs)


def square(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """The size in square pixels; an absurd pixel aspect is ignored."""
    if not Fraction(1, STRETCH) <= aspect <= STRETCH:
        return width, height
    return max(1, round(width * aspect)), height
