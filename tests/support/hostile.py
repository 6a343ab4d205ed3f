"""Files that keep a decoder busy for minutes, use up its memory, or contain huge texts."""

import itertools
import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.support.boxes import box, chunk, compressed, full, index_of, movie, numbers, picture_entry, png
from tools.videos import video

MB = 1 << 20
WIDE, HIGH = 8192, 4320
MVEX = box(b"mvex", full(b"trex", numbers(1, 1, 10, 10, 0)))
SMALL = picture_entry(b"png ", 64, 48)


def still(**changes: bytes) -> bytes:
    """A video with one small picture."""
    return movie(SMALL, [png(64, 48)], **changes)


def bits(*fields: tuple[int, int]) -> bytes:
    """Packs (number, bits) pairs, padded with zeros to a whole byte."""
    text = "".join(f"{number:0{width}b}" for number, width in fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


def golomb(number: int) -> tuple[int, int]:
    """A number as H.265's ue(v)."""
    return number + 1, 2 * (number + 1).bit_length() - 1


def segment(marker: int, content: bytes) -> bytes:
    """A JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def scans(number: int) -> bytes:
    """A progressive JPEG in 8K with `scans` empty refinements: 50 bytes make the decoder visit every block."""
    frame = segment(0xC2, struct.pack(">BHHB", 8, HIGH, WIDE, 1) + b"\1\x11\0")
    quantizers = segment(0xDB, b"\0" + b"\1" * 64)
    codes = b"\1" + bytes(15)  # one code with one bit
    huffman = segment(0xC4, b"\0" + codes + b"\0") + segment(0xC4, b"\x10" + codes + b"\xe0")
    blocks = WIDE // 8 * HIGH // 8
    skipping = bits(*[(0, 1), (0b10101010101010, 14)] * (blocks // 27306 + 1))  # 27,306 blocks have nothing more
    scan = segment(0xDA, b"\1\1\0\1\x3f\0") + skipping
    picture = b"\xff\xd8" + quantizers + frame + huffman + scan * number + b"\xff\xd9"
    return movie(picture_entry(b"jpeg", WIDE, HIGH), [picture])


def text_chunks(number: int, inflated: int) -> bytes:
    """A PNG with the given number of compressed texts, each of the given size."""
    picture = png(64, 48)
    text = b"zTXtname\0\0" + zlib.compress(bytes(inflated), 1)
    part = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return movie(SMALL, [picture[:33] + part * number + picture[33:]])


def metadata(values: dict[bytes, bytes]) -> bytes:
    """Names and texts in Apple's metadata format."""
    handler = full(b"hdlr", bytes(4), b"mdta", bytes(13))
    keys = full(b"keys", numbers(len(values)), *(box(b"mdta", name) for name in values))
    texts = (
        box(numbers(number), box(b"data", numbers(1, 0), text)) for number, text in enumerate(values.values(), start=1)
    )
    return box(b"meta", handler, keys, box(b"ilst", *texts))


def metadata_value(kind: bytes, size: int) -> bytes:
    """A text of this length in the user data."""
    values = box(b"ilst", box(kind, box(b"data", numbers(1, 0), b"v" * size)))
    meta = full(b"meta", full(b"hdlr", bytes(4), b"mdir", bytes(13)), values)
    return still(in_moov=box(b"udta", meta))


def vp9(*sizes: tuple[int, int]) -> bytes:
    """Key frames whose headers state these sizes, followed by noise."""
    chance = Random(9)
    start = ((0b10, 2), (0, 2), (0, 1), (0, 1), (1, 1), (0, 1), (0x498342, 24), (2, 3), (0, 1))
    frames = [
        bits(*start, (width - 1, 16), (height - 1, 16), (0, 1), (0, 30)) + chance.randbytes(3000)
        for width, height in sizes
    ]
    return movie(picture_entry(b"vp09", 64, 48, full(b"vpcC", bytes(8))), frames)


def av1(width: int, height: int) -> bytes:
    """A still picture whose sequence header states this size, followed by noise."""
    sizes = ((15, 4), (15, 4), (width - 1, 16), (height - 1, 16))
    header = bits((0, 3), (1, 1), (1, 1), (31, 5), *sizes, (0, 16), (1, 1), (0, 7))
    obu = b"\x0a" + bytes([len(header)]) + header
    configuration = box(b"av1C", b"\x81\x1f\x0c\0" + obu)
    noise = Random(1).randbytes(120)
    return movie(picture_entry(b"av01", 64, 48, configuration), [b"\x12\0" + obu + b"\x32" + b"\x78" + noise])


def hevc(width: int, height: int) -> bytes:
    """Parameter sets that state this size, followed by noise."""
    profile = ((0, 2), (0, 1), (1, 5), (3 << 29, 32), (0x9, 4), (0, 44), (255, 8))
    sps = bits(
        (0x4201, 16), (0, 4), (0, 3), (1, 1), *profile, golomb(0), golomb(1), golomb(width), golomb(height), (0, 1),
        golomb(0), golomb(0), golomb(4), (1, 1), golomb(4), golomb(0), golomb(0), golomb(0), golomb(3), golomb(0),
        golomb(3), golomb(1), golomb(1), (0, 20), (1, 1),
    )  # fmt: skip
    arrays = bytes([1, 0x21, 0, 1]) + struct.pack(">H", len(sps)) + sps
    configuration = box(b"hvcC", b"\1\1" + bytes(19) + b"\3" + arrays)
    slice_of_noise = b"\x26\1" + Random(2).randbytes(3000)
    sample = struct.pack(">I", len(slice_of_noise)) + slice_of_noise
    return movie(picture_entry(b"hvc1", 64, 48, configuration), [sample])


def prores(width: int, height: int) -> bytes:
    """A small picture with a header for a large one, so that its slices are out of place."""
    content = video("mov", "prores_ks", size=(640, 360), seconds=0.1, rate=10, audio=None, pixel_format="yuv422p10le")
    at = content.index(b"icpf") + 12
    sample = content[at - 16 :][: struct.unpack_from(">I", content, at - 16)[0]]
    sample = sample[:16] + struct.pack(">HH", width, height) + sample[20:]
    return movie(picture_entry(b"apch", width, height), [sample + Random(3).randbytes(MB)])


def gif(width: int, height: int) -> bytes:
    """An animation of a thousand pictures on a large screen."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    picture = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x4c\1\0"
    return movie(picture_entry(b"gif ", width, height), [screen + picture * 1000 + b";"])


def animated_png(frames: int) -> bytes:
    """An animated PNG with frame headers but no frames."""
    picture = png(64, 48)

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    controls = b"".join(
        part(b"fcTL", struct.pack(">IIIIIHHBB", number, 64, 48, 0, 0, 1, 10, 0, 0)) for number in range(frames)
    )
    return movie(SMALL, [picture[:33] + part(b"acTL", numbers(frames, 0)) + controls + picture[33:]])


def joined_moofs(size: int) -> bytes:
    """Consecutive empty fragments."""
    return still(in_moov=MVEX) + box(b"moof", full(b"mfhd", numbers(1))) * (size // 24)


def words_of_moof(size: int) -> bytes:
    """Bytes that look like the beginning of a fragment everywhere."""
    return still(in_moov=MVEX) + b"\xff" * 8 + b"moof\0\0\0\x10mfhd" * (size // 16)


def one_in_another(levels: int) -> bytes:
    """Nested compressed indexes."""
    index = index_of(still())
    for _ in range(levels):
        index = index_of(compressed(index))
    return box(b"ftyp", b"qt  \0\0\2\0qt  ") + index


def nested(kind: bytes, depth: int) -> bytes:
    """Nested boxes."""
    return b"".join(struct.pack(">I4s", 8 * (depth - level), kind) for level in range(depth))


def avi_of_signatures(size: int) -> bytes:
    """An AVI in which any bytes look like a chunk."""
    content = video("avi", "mjpeg", size=(64, 48), seconds=0.4, rate=10, audio=None, codec_options={})
    return content[: content.index(b"movi") + 4] + (b"00dc" + bytes(4)) * (size // 8) + chunk(b"idx1")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "12 MB of scans in 8K": lambda: scans(230_000),
    "70 MB of empty fragments": lambda: joined_moofs(70 * MB),
    "70 MB of what could be fragments": lambda: words_of_moof(70 * MB),
    "a metadata key of 90 MB": lambda: still(in_moov=metadata({b"k" * (90 * MB): b"a value"})),
    "a title of 90 MB": lambda: metadata_value(b"\xa9nam", 90 * MB),
    "a maker of 90 MB": lambda: metadata_value(b"\xa9mak", 90 * MB),
    "a PNG with a text of 512 MB": lambda: text_chunks(1, 512 * MB),
    "a PNG with 500 texts of 60 MB": lambda: text_chunks(500, 60 * MB),
    "a million boxes in each other": lambda: still(in_moov=nested(b"udta", 1_000_000)),
    "compressed in compressed": lambda: one_in_another(50),
    "a compressed bomb": lambda: compressed(bytes(95 * MB)),
    "eight million edits": lambda: still(edits=full(b"elst", numbers(7_900_000), numbers(10, 0, 1 << 16) * 7_900_000)),
    "VP9 of 65536x65536": lambda: vp9((65536, 65536)),
    "VP9 that switches": lambda: vp9(*itertools.islice(itertools.cycle([(64, 48), (8192, 4352), (16, 8192)]), 600)),
    "AV1 of 65536x65536": lambda: av1(65536, 65536),
    "AV1 of 8K": lambda: av1(8192, 4352),
    "HEVC of 65536x65536": lambda: hevc(65536, 65536),
    "HEVC of 8K": lambda: hevc(8192, 4352),
    "ProRes in 8K that is a small one": lambda: prores(8192, 4320),
    "ProRes of 65535x65535": lambda: prores(65535, 65535),
    "a thousand GIFs in 8K": lambda: gif(8192, 4320),
    "a GIF of 65535x65535": lambda: gif(65535, 65535),
    "an animated PNG of 200,000 frames": lambda: animated_png(200_000),
    "an AVI that could be anything": lambda: avi_of_signatures(60 * MB),
}
