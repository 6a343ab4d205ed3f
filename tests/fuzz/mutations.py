"""Breaks a file along its structure: boxes, chunks, and the numbers in them; sometimes also arbitrary bytes.

A file is parsed into a tree, the tree is changed, and written again with correct sizes, so that a reader gets as far as
the damage. Wrong sizes are a mutation too.
"""

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, Self

HEADER: Final = 8  # bytes of size and type, of boxes and of chunks
sys.setrecursionlimit(10_000)  # a file may be nested a few times over, two hundred deep each

EXTREME: Final = (0, 1, 2, 7, 8, 16, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
MOST_BYTES: Final = 200_000  # that one mutation adds, or copies of copies would fill the memory
WIDTHS: Final = (1, 2, 2, 4, 4, 4, 4, 8)

# (type, bytes before its children): what FFmpeg and the inspector look for boxes in.
PARENTS: Final = dict.fromkeys(
    b"moov trak edts mdia minf dinf stbl mvex moof traf mfra udta ilst tref".split(b" "), 0
) | {b"stsd": 8, b"dref": 8, b"meta": 4, b"avc1": 78, b"hvc1": 78, b"hev1": 78, b"apch": 78, b"mp4a": 28}


def _codes(row: bytes) -> tuple[bytes, ...]:
    """Consecutive four-character codes, some of which end in a space."""
    return tuple(row[at : at + 4] for at in range(0, len(row), 5))


TYPES: Final = _codes(
    b"moov mvhd trak tkhd edts elst mdia mdhd hdlr minf vmhd smhd dinf dref url  alis stbl stsd stts ctts stsc "
    b"stsz stz2 stco co64 stss stps sgpd sbgp sdtp cslg mvex trex mehd moof mfhd traf tfhd tfdt trun senc saiz "
    b"saio pssh sinf schm schi tenc frma mfra tfra mfro sidx styp emsg udta meta ilst keys chpl tref chap tmcd "
    b"cmov dcom cmvd hoov free skip wide uuid rmra rdrf colr pasp clap fiel gama avcC hvcC av1C vpcC dvcC dvvC "
    b"mdcv clli esds wave glbl st3d sv3d iloc iinf iprp ipco ipma iref pitm mdat ftyp pnot"
)
CODECS: Final = _codes(
    b"avc1 hvc1 hev1 dvh1 av01 vp08 vp09 mp4v s263 png  jpeg mjp2 mjpa mjpb apch ap4h dvc  dvcp dv5n AVdn CFHD "
    b"drac rle  rpza smc  cvid SVQ1 SVQ3 raw  2vuy v210 v308 v408 r210 8BPS tiff gif  Hap1 HapY DXD3 icod qdrw "
    b"flic WRLE rv60 encv DIVX XVID DIV3 MP42 WMV1 WMV2 WMV3 WVC1 MJPG HFYU FFVH FFV1 ULRG M8RG IV31 IV50 LAGS "
    b"ZLIB MSZH ZMBV FSV1 SNOW G2M4 tscc TSC2 VP60 VP70 MSS1 MSS2 dvsd CRAM CSCD AASC CLJR CYUV DUCK LOCO WNV1 "
    b"VMnc RT21 theo mp4a sowt twos"
)


# (type, size of a row): indexes of samples, fragments and chunks
ROWS: Final = (
    {b"idx1": 16, b"indx": 16, b"ix00": 8, b"sidx": 12, b"tfra": 11, b"trun": 12, b"stsc": 12}
    | dict.fromkeys((b"stts", b"ctts", b"co64"), 8)
    | dict.fromkeys((b"stsz", b"stco", b"stss"), 4)
)


@dataclass
class Node:
    """A box or a chunk; a list of them where `children` is not None, with `lead` in front."""

    type: bytes
    lead: bytes = b""
    children: list["Node"] | None = None
    claimed: int | None = None  # written instead of the correct size

    def __iter__(self) -> Iterator["Node"]:
        """The node and everything below."""
        yield self
        for child in self.children or ():
            yield from child

    def copy(self) -> Self:
        """A deep copy."""
        children = None if self.children is None else [child.copy() for child in self.children]
        return type(self)(self.type, self.lead, children, self.claimed)


@dataclass
class File:
    """A parsed file."""

    children: list[Node]
    riff: bool
    end: bytes = b""  # what follows the last whole box

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Parses an MP4, MOV or AVI."""
        riff = content[:4] == b"RIFF"
        children, end = _parse(content, riff)
        return cls(children, riff, end)

    def nodes(self) -> list[Node]:
        """All nodes, in file order."""
        return [node for child in self.children for node in child]

    def lists(self) -> list[list[Node]]:
        """All lists of boxes, the file's own first."""
        return [self.children, *(node.children for node in self.nodes() if node.children is not None)]

    def write(self) -> bytes:
        """The file."""
        return b"".join(_write(node, self.riff) for node in self.children) + self.end


def _parse(content: bytes, riff: bool) -> tuple[list[Node], bytes]:
    nodes, at = [], 0
    while at + HEADER <= len(content):
        if riff:
            kind, size = struct.unpack_from("<4sI", content, at)
            size += HEADER
        else:
            size, kind = struct.unpack_from(">I4s", content, at)
        if size < HEADER or at + size > len(content):
            break
        body = content[at + HEADER : at + size]
        lead = (4 if kind in (b"RIFF", b"LIST") else None) if riff else PARENTS.get(kind)
        if lead is None:
            nodes.append(Node(kind, body))
        else:
            children, rest = _parse(body[lead:], riff)
            nodes.append(Node(kind, body[:lead], children) if not rest else Node(kind, body))
        at += size + (size % 2 if riff else 0)
    return nodes, content[at:]


def _write(node: Node, riff: bool) -> bytes:
    body = node.lead + b"".join(_write(child, riff) for child in node.children or ())
    size = len(body) + (0 if riff else HEADER) if node.claimed is None else node.claimed & 0xFFFFFFFF
    if riff:
        return struct.pack("<4sI", node.type, size) + body + bytes(len(body) % 2)
    return struct.pack(">I4s", size, node.type) + body


def extreme(chance: Random, now: int, bits: int) -> int:
    """An unexpected number in place of `now`."""
    near = now + chance.choice((-8, -1, 1, 8, 1000))
    return chance.choice(
        (chance.choice(EXTREME), near, now * 2, now // 2, 1 << chance.randrange(bits), chance.getrandbits(bits))
    ) % (1 << bits)


def _number(file: File, chance: Random, _: Callable[[], File]) -> None:
    """Changes any number in any box, preferably at its beginning, where versions, counts and sizes are."""
    node = chance.choice([node for node in file.nodes() if len(node.lead) > 1])
    width = min(chance.choice(WIDTHS), len(node.lead))
    last = len(node.lead) - width
    at = min(chance.randrange(16) * 2, last) if chance.random() < 0.6 else chance.randrange(last + 1)
    order = "little" if file.riff else "big"
    now = int.from_bytes(node.lead[at : at + width], order)
    value = extreme(chance, now, 8 * width).to_bytes(width, order)
    node.lead = node.lead[:at] + value + node.lead[at + width :]


def _size(file: File, chance: Random, _: Callable[[], File]) -> None:
    node = chance.choice(file.nodes())
    node.claimed = extreme(chance, len(_write(node, file.riff)), 32)


def _type(file: File, chance: Random, _: Callable[[], File]) -> None:
    node = chance.choice(file.nodes())
    node.type = chance.choice([*TYPES, *CODECS, *(other.type for other in file.nodes())])


def _codec(file: File, chance: Random, _: Callable[[], File]) -> None:
    """Changes the name of a codec anywhere, so that another decoder gets these samples."""
    code = chance.choice(CODECS)
    for node in file.nodes():
        if node.type == b"stsd" and node.children:
            chance.choice(node.children).type = code
        if node.type in (b"strh", b"strf") and len(node.lead) >= 20:
            at = 4 if node.type == b"strh" else 16
            node.lead = node.lead[:at] + code + node.lead[at + 4 :]


def _delete(file: File, chance: Random, _: Callable[[], File]) -> None:
    siblings = chance.choice([nodes for nodes in file.lists() if nodes])
    del siblings[chance.randrange(len(siblings))]


def _duplicate(file: File, chance: Random, _: Callable[[], File]) -> None:
    node = chance.choice(file.nodes()).copy()  # now: the target may be inside of it
    target = chance.choice(file.lists())
    copies = min(chance.choice((1, 1, 1, 2, 50)), 1 + MOST_BYTES // len(_write(node, file.riff)))
    for _number in range(copies):
        target.insert(chance.randrange(len(target) + 1), node.copy())


def _swap(file: File, chance: Random, _: Callable[[], File]) -> None:
    one, other = chance.choice(file.nodes()), chance.choice(file.nodes())
    one.type, other.type = other.type, one.type
    if chance.random() < 0.5:
        one.lead, other.lead = other.lead, one.lead


def _shuffle(file: File, chance: Random, _: Callable[[], File]) -> None:
    chance.shuffle(chance.choice(file.lists()))


def _cut_box(file: File, chance: Random, _: Callable[[], File]) -> None:
    node = chance.choice(file.nodes())
    node.lead = node.lead[: chance.randrange(len(node.lead) + 1)]


def _grow(file: File, chance: Random, _: Callable[[], File]) -> None:
    node = chance.choice(file.nodes())
    more = chance.choice((4, 12, 100, 5000))
    node.lead += chance.choice((bytes(more), b"\xff" * more, chance.randbytes(more), node.lead[:more]))


def _insert(file: File, chance: Random, _: Callable[[], File]) -> None:
    length = chance.choice((0, 4, 8, 12, 16, 24, 60))
    node = Node(chance.choice(TYPES), chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length))))
    target = chance.choice(file.lists())
    target.insert(chance.randrange(len(target) + 1), node)


def _nest(file: File, chance: Random, _: Callable[[], File]) -> None:
    """Nests a box many times."""
    siblings = chance.choice([nodes for nodes in file.lists() if nodes])
    at = chance.randrange(len(siblings))
    kind = b"LIST" if file.riff else chance.choice([*PARENTS, siblings[at].type])
    for _number in range(chance.choice((1, 2, 10, 200))):
        siblings[at] = Node(kind, b"hdrl" if file.riff else bytes(PARENTS.get(kind, 0)), [siblings[at]])


def _splice(file: File, chance: Random, other: Callable[[], File]) -> None:
    """Replaces a box with one from another video."""
    donors = other().nodes()
    node = chance.choice(file.nodes())
    same = [donor for donor in donors if donor.type == node.type]
    donor = chance.choice(same if same and chance.random() < 0.7 else donors).copy()
    node.type, node.lead, node.children = donor.type, donor.lead, donor.children


def _samples(file: File, chance: Random, _: Callable[[], File]) -> None:
    """Changes bits of the media data."""
    node = max(file.nodes(), key=lambda node: len(node.lead) * chance.random())
    broken = bytearray(node.lead)
    for _number in range(chance.choice((1, 3, 30)) if broken else 0):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    node.lead = bytes(broken)


def _index(file: File, chance: Random, _: Callable[[], File]) -> None:
    """Swaps, repeats, removes or overwrites rows of an index."""
    nodes = [node for node in file.nodes() if node.type in ROWS and len(node.lead) > 2 * ROWS[node.type]]
    if not nodes:
        return
    node = chance.choice(nodes)
    size = ROWS[node.type]
    begin = len(node.lead) % size  # of what precedes the rows, at least a part
    rows = [node.lead[at : at + size] for at in range(begin, len(node.lead), size)]
    one, other = chance.randrange(len(rows)), chance.randrange(len(rows))
    match chance.randrange(4):
        case 0:
            rows[one], rows[other] = rows[other], rows[one]
        case 1:
            rows[one:one] = rows[one : one + 1] * chance.choice((1, 20))
        case 2:
            del rows[min(one, other) : max(one, other)]
        case _:
            rows[one] = chance.randbytes(size)
    node.lead = node.lead[:begin] + b"".join(rows)


def _joined(file: File, chance: Random, other: Callable[[], File]) -> None:
    """Repeats the boxes after the first, or appends those of another video, like joined recordings."""
    more = [node.copy() for node in (file if chance.random() < 0.5 else other()).children]
    begin = chance.randrange(len(more) + 1)
    if sum(len(_write(node, file.riff)) for node in more) < MOST_BYTES:
        file.children += more[begin : begin + chance.choice((1, 2, 100))]


MUTATIONS: Final = (
    *[_number] * 10,
    *[_size] * 3,
    *[_codec] * 2,
    *[_splice] * 2,
    *[_samples] * 3,
    *[_duplicate] * 2,
    *[_insert] * 2,
    *[_index] * 2,
    _joined,
    _type, _delete, _swap, _shuffle, _cut_box, _grow, _nest,
)  # fmt: skip


def _bytes(content: bytes, chance: Random) -> bytes:
    """Damage regardless of structure: cuts off the file, or overwrites a part of it."""
    if chance.random() < 0.5:
        return content[: chance.randrange(len(content) + 1)]
    at = chance.randrange(len(content) + 1)
    patch = chance.choice((bytes(64), b"\xff" * 64, chance.randbytes(64), b"moov", b"RIFF", bytes(4096)))
    return content[:at] + patch + content[at + chance.choice((0, len(patch))) :]


def mutate(content: bytes, chance: Random, other: Callable[[], bytes]) -> bytes:
    """`content` with a few mutations; `other` returns another video to take boxes from."""
    file = File.parse(content)
    for _number in range(chance.choice((1, 1, 2, 3, 6))):
        if any(len(node.lead) > 1 for node in file.nodes()):  # something is left to change
            chance.choice(MUTATIONS)(file, chance, lambda: File.parse(other()))
    broken = file.write()
    return _bytes(broken, chance) if chance.random() < 0.12 else broken
