"""H.264 with separately stored fields, like FFmpeg's output for AVCHD (PAFF), which no encoder here supports.

Every macroblock has uncompressed pixels (I_PCM). ITU-T H.264: 7.3 (syntax), 9.1 (Exp-Golomb codes).
"""

import struct

from av.video.frame import VideoFrame

from tests.support import numbered
from tests.support.boxes import box, movie, numbers, picture_entry

MB = 16  # pixels, of a macroblock's edge


class Bits:
    """Bits, most significant first."""

    def __init__(self) -> None:
        self.bits = ""

    def fixed(self, *pairs: tuple[int, int]) -> None:
        """u(n): values and their widths."""
        self.bits += "".join(f"{value:0{width}b}" for value, width in pairs)

    def golomb(self, *values: int) -> None:
        """ue(v), and se(v) of 0."""
        self.bits += "".join(f"{value + 1:0{2 * (value + 1).bit_length() - 1}b}" for value in values)

    def raw(self, content: bytes) -> None:
        """Whole bytes, byte-aligned."""
        self.bits += "0" * (-len(self.bits) % 8) + "".join(f"{byte:08b}" for byte in content)

    def unit(self, kind: int) -> bytes:
        """A NAL unit of these bits. The pixels have no zeros, so nothing needs to be escaped."""
        bits = f"{self.bits}1"
        bits += "0" * (-len(bits) % 8)
        return bytes([kind]) + int(bits, 2).to_bytes(len(bits) // 8)


def _sequence() -> bytes:
    width, height = (side // MB for side in numbered.SIZE)
    bits = Bits()
    bits.fixed((77, 8), (0, 8), (30, 8))  # Main, level 3
    bits.golomb(0, 0, 2, 1)  # its number, bits of frame_num, output in the order of decoding, one reference
    bits.fixed((0, 1))
    bits.golomb(width - 1, height // 2 - 1)
    bits.fixed((0, 1), (0, 1), (1, 1), (0, 1), (0, 1))  # not frames alone, no MBAFF, direct_8x8, no crop, no VUI
    return bits.unit(0x67)


def _picture() -> bytes:
    bits = Bits()
    bits.golomb(0, 0)
    bits.fixed((0, 1), (0, 1))  # CAVLC
    bits.golomb(0, 0, 0)
    bits.fixed((0, 1), (0, 2))
    bits.golomb(0, 0, 0)
    bits.fixed((1, 1), (0, 1), (0, 1))
    return bits.unit(0x68)


def _field(frame: VideoFrame, bottom: int, number: int) -> bytes:
    """The lines of one field; `number` is the picture's, and every sixteenth starts a new sequence."""
    fresh = not bottom and not number % 16
    bits = Bits()
    bits.golomb(0, 7, 0)  # the first macroblock, I slices alone
    bits.fixed((number % 16, 4), (1, 1), (bottom, 1))
    if fresh:
        bits.golomb(number // 16 % 2)
        bits.fixed((0, 1), (0, 1))
    else:
        bits.fixed((0, 1))
    bits.golomb(0, 1)  # the quantizer's change, no deblocking
    planes = [(bytes(plane), plane.line_size) for plane in frame.planes]
    for row in range(numbered.SIZE[1] // MB // 2):
        for column in range(numbered.SIZE[0] // MB):
            bits.golomb(25)  # I_PCM
            pixels = b""
            for (data, line), edge in zip(planes, (MB, MB // 2, MB // 2), strict=True):
                for y in range(edge):
                    pixels += data[(2 * (row * edge + y) + bottom) * line + column * edge :][:edge]
            bits.raw(pixels)
    return bits.unit(0x65 if fresh else 0x61)


def film(pictures: int, sync: bytes | None = None) -> bytes:
    """An MP4 with numbered pictures, each in two samples of a second; `sync` is its `stss`."""
    sequence, picture = _sequence(), _picture()
    config = box(
        b"avcC", b"\1", sequence[1:4], b"\xff\xe1", struct.pack(">H", len(sequence)), sequence,
        b"\1", struct.pack(">H", len(picture)), picture,
    )  # fmt: skip
    units = [_field(numbered.drawn(number), bottom, number) for number in range(pictures) for bottom in (0, 1)]
    samples = [numbers(len(unit)) + unit for unit in units]
    return movie(picture_entry(b"avc1", *numbered.SIZE, config), samples, changed={b"stss": sync} if sync else None)
