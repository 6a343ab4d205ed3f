"""Videos with their frame number in the picture, as black and white blocks: ground truth, not a second opinion.

A poster's frame number is read, not compared; a picture that is damaged or not upright has none.
"""

from functools import cache
from typing import Final

import av
from av.video.frame import VideoFrame

BLOCK: Final = 16  # pixels, of each of the 8 by 6 blocks: a macroblock of most codecs
COLUMNS, ROWS = 8, 6
SIZE: Final = (COLUMNS * BLOCK, ROWS * BLOCK)
TOP: Final = (1, 1, 1, 0, 0, 0, 0, 0)  # differs from itself rotated or mirrored, and so does its complement
BLACK, WHITE = 16, 235
MAX_NUMBER: Final = (1 << 16) - 1


def blocks(number: int) -> list[tuple[int, ...]]:
    """The rows of blocks (1 is white): a mark for the top, sixteen bits, their complement, and a mark again."""
    bits = tuple(number >> shift & 1 for shift in range(15, -1, -1))
    against = tuple(1 - bit for bit in (*bits, *TOP))
    return [TOP, bits[:8], bits[8:], against[:8], against[8:16], against[16:]]


@cache
def drawn(number: int | None) -> VideoFrame:
    """The picture with that number, in yuv420p; black if it is None."""
    frame = VideoFrame(*SIZE, "yuv420p")
    luma, *chroma = frame.planes
    rows = blocks(number) if number is not None else [(0,) * COLUMNS] * ROWS
    lines = (b"".join((WHITE if bit else BLACK).to_bytes() * BLOCK for bit in row) for row in rows)
    luma.update(b"".join(line.ljust(luma.line_size, b"\0") * BLOCK for line in lines))
    for plane in chroma:
        plane.update(b"\x80" * plane.buffer_size)
    return frame


def read(frame: VideoFrame) -> int | None:
    """The number in a picture of any size; None if there is none or it is not upright."""
    small = frame.reformat(COLUMNS * 4, ROWS * 4, "gray", interpolation="AREA")
    line, luma = small.planes[0].line_size, bytes(small.planes[0])

    def light(row: int, column: int) -> int:  # of the middle of a block
        spots = [luma[(4 * row + y) * line + 4 * column + x] for y in (1, 2) for x in (1, 2)]
        return sum(spots) // len(spots)

    seen = [tuple(int(light(row, column) > 128) for column in range(COLUMNS)) for row in range(ROWS)]
    number = int("".join(str(bit) for bit in (*seen[1], *seen[2])), 2)
    return number if seen == blocks(number) else None


def in_jpeg(jpeg: bytes) -> int | None:
    """The number in a JPEG."""
    return read(_decoded(jpeg))


def in_tiles(jpeg: bytes, size: tuple[int, int], columns: int, count: int) -> list[int | None]:
    """The numbers in the first `count` tiles of that size in a JPEG, row by row."""
    gray = _decoded(jpeg).reformat(format="gray")
    line, luma = gray.planes[0].line_size, bytes(gray.planes[0])
    numbers = []
    for place in range(count):
        left, top = place % columns * size[0], place // columns * size[1]
        tile = VideoFrame(*size, "gray")
        rows = (luma[(top + row) * line + left :][: size[0]] for row in range(size[1]))
        tile.planes[0].update(b"".join(row.ljust(tile.planes[0].line_size, b"\0") for row in rows))
        numbers.append(read(tile))
    return numbers


def _decoded(jpeg: bytes) -> VideoFrame:
    decoder = av.CodecContext.create("mjpeg", "r")
    return (decoder.decode(av.Packet(jpeg)) + decoder.decode(None))[0]
