"""Lies: wrong metadata and damage from writers, tools and accidents, each with what stays true.

A lie takes a file's boxes or bytes and a random generator, and returns another file, or None if it does not apply.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.fuzz.mutations import File, Node


@dataclass(frozen=True)
class Told:
    """A file after a lie, and which answers are valid."""

    content: bytes
    verdicts: frozenset[str] = frozenset({"success"})
    warned: bool | None = None  # whether there must, or must not, be a warning
    noticed_afar: bool = True  # whether it can be noticed without reading the whole file
    skipped: float = 0.0  # seconds at the beginning that are not shown
    copies: int = 1  # how often the video is repeated in it


type Lie = Callable[[bytes, Random], Told | None]

TRUNCATED: Final = frozenset({"truncated"})
UNFILLED: Final = 600  # bytes of zeros, that are noticed


def _edited(content: bytes, edit: Callable[[File], bool]) -> bytes | None:
    file = File.parse(content)
    return file.write() if edit(file) else None


def _boxes(file: File, kind: bytes) -> list[Node]:
    return [node for node in file.nodes() if node.type == kind]


def _lists_with(file: File, kind: bytes) -> Iterator[list[Node]]:
    return (nodes for nodes in file.lists() if any(node.type == kind for node in nodes))


def _u32(lead: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", lead, at)[0])


def _put(lead: bytes, at: int, *values: int) -> bytes:
    return lead[:at] + struct.pack(f">{len(values)}I", *values) + lead[at + 4 * len(values) :]


def plain(content: bytes, _: Random) -> Told:
    """No lie."""
    return Told(content, warned=False)


# What indexes state about single frames


def without_sync_table(content: bytes, _: Random) -> Told | None:
    """No stss: every frame is a key frame."""

    def edit(file: File) -> bool:
        # Its space is kept, so that nothing moves
        tables = _boxes(file, b"stss")
        for table in tables:
            table.type = b"free"
        return bool(tables)

    made = _edited(content, edit)
    return Told(made) if made else None


def wrong_sync_table(content: bytes, chance: Random) -> Told | None:
    """A stss that lists other frames."""

    def edit(file: File) -> bool:
        tables = _boxes(file, b"stss")
        for table in tables:
            count = _u32(table.lead, 4)
            numbers = sorted(chance.sample(range(1, 40), min(count, 30)))
            table.lead = _put(table.lead[:4], 4, len(numbers), *numbers).ljust(len(table.lead), b"\0")
        return bool(tables)

    made = _edited(content, edit)
    return Told(made) if made else None


def empty_sync_table(content: bytes, _: Random) -> Told | None:
    """An empty stss."""

    def edit(file: File) -> bool:
        tables = _boxes(file, b"stss")
        for table in tables:
            table.lead = _put(table.lead, 4, 0)
        return bool(tables)

    made = _edited(content, edit)
    return Told(made) if made else None


def with_flags(content: bytes, flags: int) -> bytes | None:
    """Every sample of every fragment with these flags."""

    def edit(file: File) -> bool:
        for trex in _boxes(file, b"trex"):
            trex.lead = _put(trex.lead, 20, flags)
        for tfhd in _boxes(file, b"tfhd"):
            present = _u32(tfhd.lead, 0) & 0xFFFFFF
            if present & 0x20:
                at = 8 + 8 * bool(present & 1) + 4 * sum(bool(present & bit) for bit in (2, 8, 16))
                tfhd.lead = _put(tfhd.lead, at, flags)
        for trun in _boxes(file, b"trun"):
            present = _u32(trun.lead, 0) & 0xFFFFFF
            at = 8 + 4 * bool(present & 1)
            if present & 4:
                trun.lead = _put(trun.lead, at, flags)
                at += 4
            fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if present & bit]
            for number in range(_u32(trun.lead, 4)):
                if 0x400 in fields:
                    trun.lead = _put(trun.lead, at + 4 * (number * len(fields) + fields.index(0x400)), flags)
        return bool(_boxes(file, b"trun"))

    return _edited(content, edit)


def all_sync(content: bytes, _: Random) -> Told | None:
    """Fragments that call every frame a key frame, as VLC's do."""
    made = with_flags(content, 0)
    return Told(made) if made else None


def none_sync(content: bytes, _: Random) -> Told | None:
    """Fragments that call no frame a key frame."""
    made = with_flags(content, 0x01010000)
    return Told(made) if made else None


# What headers state about the whole file


def _scaled(content: bytes, kind: bytes, chance: Random, short: int, long: int) -> bytes | None:
    def edit(file: File) -> bool:
        boxes = _boxes(file, kind)
        changed = False
        for box in boxes:
            if box.lead[:1] == b"\1":
                continue
            now = _u32(box.lead, short)
            if now:
                factor = chance.choice((0.1, 0.5, 3, 900))
                box.lead = _put(box.lead, short, min(int(now * factor) + 1, 0x7FFFFFFF))
                changed = True
        return changed

    return _edited(content, edit)


def movie_duration(content: bytes, chance: Random) -> Told | None:
    """Another duration in mvhd."""
    made = _scaled(content, b"mvhd", chance, 16, 24)
    return Told(made, warned=True) if made else None


def media_duration(content: bytes, chance: Random) -> Told | None:
    """Other durations in mdhd."""
    made = _scaled(content, b"mdhd", chance, 16, 24)
    return Told(made, warned=True) if made else None


def track_duration(content: bytes, chance: Random) -> Told | None:
    """Other durations in tkhd."""
    made = _scaled(content, b"tkhd", chance, 20, 28)
    return Told(made, warned=True) if made else None


def picture_size(content: bytes, chance: Random) -> Told | None:
    """A sample description with a wrong picture size."""

    def edit(file: File) -> bool:
        for entry in _boxes(file, b"avc1"):  # with other codecs, decoders may use it
            size = struct.pack(">HH", *chance.choice(((640, 480), (64, 96), (128, 120))))
            entry.lead = entry.lead[:24] + size + entry.lead[28:]
        return bool(_boxes(file, b"avc1"))

    made = _edited(content, edit)
    return Told(made, warned=True) if made else None


def fragment_duration(content: bytes, chance: Random) -> Told | None:
    """A mehd that claims another duration than the fragments have."""

    def edit(file: File) -> bool:
        mvex = _boxes(file, b"mvex")
        mvhd = _boxes(file, b"mvhd")
        if not mvex or not mvhd or mvex[0].children is None or not _boxes(file, b"moof"):
            return False
        scale = _u32(mvhd[0].lead, 12)
        mvex[0].children.insert(0, Node(b"mehd", struct.pack(">II", 0, chance.choice((1, 600)) * scale)))
        _moved(file, 16)
        return True

    made = _edited(content, edit)
    return Told(made, warned=True) if made else None


# Boxes inserted and removed


def _moved(file: File, by: int, after: int = 0) -> None:
    """Adds `by` to every absolute offset of media data at `after` or later."""
    for box in file.nodes():
        if box.type == b"stco":
            count = _u32(box.lead, 4)
            offsets = struct.unpack_from(f">{count}I", box.lead, 8)
            box.lead = _put(box.lead, 8, *(at + by if at >= after else at for at in offsets))
        if box.type == b"tfhd" and _u32(box.lead, 0) & 1:
            (base,) = struct.unpack_from(">Q", box.lead, 8)
            if base >= after:
                box.lead = box.lead[:8] + struct.pack(">Q", base + by) + box.lead[16:]


EXTRAS: Final = (
    Node(b"styp", b"msdh\0\0\0\0msdhmsix"),
    Node(b"emsg", bytes(40)),
    Node(b"prft", bytes(24)),
    Node(b"free", bytes(100)),
    Node(b"uuid", bytes(60)),
    Node(b"abcd", bytes(12)),
)


def boxes_between(content: bytes, chance: Random) -> Told | None:
    """Other boxes between fragments, which make existing indexes wrong."""

    def edit(file: File) -> bool:
        at, places = 0, []
        for number, node in enumerate(file.children):
            if node.type == b"moof":
                places.append((number, at))
            at += _size(node)
        for number, offset in reversed(places):
            extras = [chance.choice(EXTRAS).copy() for _ in range(chance.choice((0, 1, 3)))]
            if number == places[0][0]:
                extras = [chance.choice(EXTRAS).copy() for _ in range(chance.choice((0, 20, 70)))]
            file.children[number:number] = extras
            _moved(file, sum(_size(extra) for extra in extras), offset)
        return bool(places)

    made = _edited(content, edit)
    return Told(made) if made else None


def _size(node: Node) -> int:
    return 8 + len(node.lead) + sum(_size(child) for child in node.children or ())


def boxes_before(content: bytes, chance: Random) -> Told | None:
    """Many boxes before the index."""
    file = File.parse(content)
    if not _boxes(file, b"moov") or not content.startswith(b"\0\0\0"):
        return None
    front = [chance.choice((Node(b"mdat", bytes(8)), Node(b"free", bytes(4)))) for _ in range(chance.choice((70, 300)))]
    _moved(file, sum(_size(node) for node in front))
    file.children[1:1] = front
    return Told(file.write())


def _without(kind: bytes) -> Lie:
    def lie(content: bytes, _: Random) -> Told | None:
        file = File.parse(content)
        if not any(node.type == kind for node in file.children):
            return None
        at = 0
        for node in list(file.children):
            if node.type == kind:
                file.children.remove(node)
                _moved(file, -_size(node), at)
            else:
                at += _size(node)
        return Told(file.write())

    lie.__doc__ = f"Every {kind.decode()} removed."
    return lie


def without_decode_times(content: bytes, _: Random) -> Told | None:
    """Fragments without tfdt."""

    def edit(file: File) -> bool:
        boxes = _boxes(file, b"tfdt")
        for box in boxes:
            box.type = b"free"  # it is ignored in a traf, and nothing moves
        return bool(boxes)

    made = _edited(content, edit)
    return Told(made) if made else None


def begun_later(content: bytes, chance: Random) -> Told | None:
    """An edit list that skips the beginning, as a copy without new encoding has it (`-ss`)."""
    skipped = chance.choice((0.4, 1.1))

    def edit(file: File) -> bool:
        if _boxes(file, b"elst") or any(_u32(box.lead, 8) for box in _boxes(file, b"stsz")):
            return False
        for trak in _boxes(file, b"trak"):
            (mdhd,) = (node for node in trak if node.type == b"mdhd")
            units = int(skipped * _u32(mdhd.lead, 20 if mdhd.lead[:1] == b"\1" else 12))
            assert trak.children is not None
            trak.children.insert(1, Node(b"edts", struct.pack(">I4s5I", 28, b"elst", 0, 1, 0, units, 1 << 16)))
            _moved(file, 36)
        return True

    made = _edited(content, edit)
    return Told(made, skipped=skipped) if made else None


def later_decode_times(content: bytes, chance: Random) -> Told | None:
    """A recording that begins in the middle of the day: the first tfdt is large."""
    seconds = chance.choice((600, 86_400, 1_800_000_000))

    def edit(file: File) -> bool:
        scales = {}
        for trak in _boxes(file, b"trak"):
            tkhd, mdhd = (next(node for node in trak if node.type == kind) for kind in (b"tkhd", b"mdhd"))
            scales[_u32(tkhd.lead, 12)] = _u32(mdhd.lead, 12)
        trafs = _boxes(file, b"traf")
        for traf in trafs:
            track = _u32(next(node for node in traf if node.type == b"tfhd").lead, 4)
            for tfdt in [node for node in traf if node.type == b"tfdt"]:
                if tfdt.lead[:1] == b"\1":
                    (now,) = struct.unpack_from(">Q", tfdt.lead, 4)
                    tfdt.lead = tfdt.lead[:4] + struct.pack(">Q", now + seconds * scales[track])
                else:
                    return False
        # With samples in moov, there would be a gap of that length
        return bool(trafs) and not any(_u32(box.lead, 8) for box in _boxes(file, b"stsz"))

    made = _edited(content, edit)
    return Told(made) if made else None


def damaged_index(content: bytes, chance: Random) -> Told | None:
    """mfra and sidx that point elsewhere."""

    def edit(file: File) -> bool:
        boxes = [*_boxes(file, b"tfra"), *_boxes(file, b"sidx")]
        for box in boxes:
            at = chance.randrange(20, len(box.lead)) if len(box.lead) > 20 else 0
            box.lead = box.lead[:at] + chance.randbytes(len(box.lead) - at)
        return bool(boxes)

    made = _edited(content, edit)
    return Told(made) if made else None


def twice_described(content: bytes, _: Random) -> Told | None:
    """A second ftyp and moov before the fragments in the middle, as in joined self-initializing segments."""
    file = File.parse(content)
    places = [number for number, node in enumerate(file.children) if node.type == b"moof"]
    heads = [node for node in file.children if node.type in (b"ftyp", b"moov")]
    if len(places) < 3 or any(_u32(box.lead, 8) for box in _boxes(file, b"stsz")):
        return None
    place = places[len(places) // 2]
    offset = sum(_size(node) for node in file.children[:place])
    _moved(file, sum(_size(node) for node in heads), offset)
    file.children[place:place] = [node.copy() for node in heads]
    return Told(file.write())


def joined(content: bytes, chance: Random) -> Told | None:
    """The same recording several times in one file, each with its index, as joined with `cat`."""
    if any(_u32(box.lead, 8) for box in _boxes(File.parse(content), b"stsz")):
        return None
    copies = chance.choice((2, 3))
    return Told(content * copies, copies=copies)


def few_key_fragments(content: bytes, chance: Random) -> Told | None:
    """A mfra that lists only some fragments, like GStreamer's, which lists those with a key frame."""
    file = File.parse(content)
    tables, mfro = _boxes(file, b"tfra"), _boxes(file, b"mfro")
    for table in tables:
        count = _u32(table.lead, 12)
        size = (len(table.lead) - 16) // max(count, 1)
        rows = [table.lead[16 + size * number :][:size] for number in range(count)]
        kept = rows[:: chance.choice((2, 5, 100))]
        table.lead = _put(table.lead[:16], 12, len(kept)) + b"".join(kept)
    if not tables or not mfro:
        return None
    mfra = next(node for node in file.children if node.type == b"mfra")
    mfro[0].lead = _put(mfro[0].lead, 4, _size(mfra))
    return Told(file.write())


def index_of_indexes(content: bytes, chance: Random) -> Told | None:
    """A sidx at the beginning that refers to a sidx before every few fragments (ISO/IEC 14496-12, 8.16.3)."""
    file = File.parse(content)
    if any(_u32(box.lead, 8) for box in _boxes(file, b"stsz")):
        return None
    others = [node for node in file.children if node.type not in (b"sidx", b"mfra")]
    first = next((number for number, node in enumerate(others) if node.type == b"moof"), len(others))
    parts: list[list[Node]] = []
    for node in others[first:]:
        if node.type == b"moof" and (not parts or any(each.type == b"mdat" for each in parts[-1])):
            parts.append([])
        parts[-1].append(node)
    if len(parts) < 3 or any(_u32(box.lead, 0) & 1 for box in _boxes(file, b"tfhd")):  # offsets would have to move
        return None
    several = chance.choice((1, 2, 3))
    groups = [parts[at : at + several] for at in range(0, len(parts), several)]
    inner = [_sidx([(0, sum(map(_size, part))) for part in group]) for group in groups]
    segments = [[own, *(node for part in group for node in part)] for own, group in zip(inner, groups, strict=True)]
    outer = _sidx([(1 << 31, sum(map(_size, segment))) for segment in segments])
    file.children = [*others[:first], outer, *(node for segment in segments for node in segment)]
    return Told(file.write())


def _sidx(parts: list[tuple[int, int]]) -> Node:
    """A sidx with a kind and a size for each part, and wrong durations."""
    rows = b"".join(struct.pack(">III", kind | size, 1, 0x90000000) for kind, size in parts)
    return Node(b"sidx", struct.pack(">5I2H", 0, 1, 1000, 0, 0, 0, len(parts)) + rows)


# The end of the file


def cut(content: bytes, chance: Random) -> Told | None:
    """A file that was cut off; between two fragments, that cannot be noticed."""
    at = len(content) * chance.randrange(10, 100) // 100
    if content[:4] == b"RIFF":
        return Told(content[:at], TRUNCATED)
    offset, last, media = 0, 0, 0
    for node in File.parse(content).children:
        offset += _size(node)
        if node.type == b"mdat" and offset <= at:
            last = offset
        if node.type in (b"mdat", b"moov"):
            media = offset
    if at >= media:
        return None
    whole = {"success"} if last and at == last else set()
    return Told(content[:at], TRUNCATED | whole)


def unwritten(content: bytes, chance: Random) -> Told | None:
    """Zeros from some place on: a download that reserved its room and was interrupted."""
    at, offset, first, media, parts = len(content) * chance.randrange(10, 95) // 100, 0, 0, 0, []
    for node in File.parse(content).children if content[:4] != b"RIFF" else ():
        offset += _size(node)
        if node.type == b"moov" and not media:
            first = offset
        if node.type == b"mdat":
            media = offset
            parts.append(offset)
    if content[:4] == b"RIFF":
        media = content.rindex(b"idx1")
    if not first < at < media - UNFILLED or len(content) - at < UNFILLED:
        return None
    # After a whole fragment they could be room that a camera reserved, and in PCM silence
    silent = b"moof" in content and b"sowt" in content
    whole = {"success"} if silent or any(abs(at - part) < 16 for part in parts) else set()
    return Told(content[:at] + bytes(len(content) - at), frozenset({"truncated", "no-frames"}) | whole)


def padded(content: bytes, chance: Random) -> Told:
    """Zeros after the end, as from cameras that reserve space."""
    return Told(content + bytes(chance.choice((4, 7, 8, 100, 5000, 300_000))))


def garbage(content: bytes, chance: Random) -> Told:
    """Other bytes after the end."""
    return Told(content + chance.choice((b"\r\n", b"TAG" + bytes(125), chance.randbytes(999), b"\xff" * 64)))


MP4_LIES: Final[dict[str, Lie]] = {
    "no lie": plain,
    "no stss": without_sync_table,
    "wrong stss": wrong_sync_table,
    "empty stss": empty_sync_table,
    "mvhd": movie_duration,
    "mdhd": media_duration,
    "tkhd": track_duration,
    "picture size": picture_size,
    "boxes before": boxes_before,
    "cut": cut,
    "cut again": cut,
    "unwritten": unwritten,
    "zeros": padded,
    "garbage": garbage,
}
FRAGMENT_LIES: Final[dict[str, Lie]] = {
    "no lie": plain,
    "all sync": all_sync,
    "none sync": none_sync,
    "mehd": fragment_duration,
    "picture size": picture_size,
    "boxes between": boxes_between,
    "no mfra": _without(b"mfra"),
    "no sidx": _without(b"sidx"),
    "no styp": _without(b"styp"),
    "no tfdt": without_decode_times,
    "begun later": begun_later,
    "late tfdt": later_decode_times,
    "damaged index": damaged_index,
    "twice described": twice_described,
    "joined": joined,
    "few key fragments": few_key_fragments,
    "index of indexes": index_of_indexes,
    "cut": cut,
    "cut again": cut,
    "unwritten": unwritten,
    "zeros": padded,
    "garbage": garbage,
}
