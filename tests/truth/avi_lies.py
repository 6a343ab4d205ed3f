"""What old cameras, capture programs and accidents do to an AVI file."""

import struct
from collections.abc import Iterable
from random import Random
from typing import Final

from tests.fuzz.mutations import File, Node
from tests.truth.lies import Lie, Told, cut, garbage, padded, plain

type Entry = tuple[bytes, int, int, int]  # chunk, flags, offset from "movi", size

KEY: Final = 0x10


def _parts(content: bytes) -> tuple[int, int, int, list[Entry]]:
    """Where the list `movi` and the chunk `idx1` begin and the latter ends, and what it says."""
    movi = content.index(b"movi") - 8
    idx1 = content.index(b"idx1", movi + 8 + struct.unpack_from("<I", content, movi + 4)[0])
    (size,) = struct.unpack_from("<I", content, idx1 + 4)
    return movi, idx1, idx1 + 8 + size, list(struct.iter_unpack("<4sIII", content[idx1 + 8 :][:size]))


def _index(entries: Iterable[Entry]) -> bytes:
    table = b"".join(struct.pack("<4sIII", *entry) for entry in entries)
    return struct.pack("<4sI", b"idx1", len(table)) + table


def _sized(content: bytes) -> bytes:
    """With the right size of all."""
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def _reindexed(content: bytes, entries: Iterable[Entry]) -> bytes:
    _, start, end, _ = _parts(content)
    return _sized(content[:start] + _index(entries) + content[end:])


def all_key(content: bytes, _: Random) -> Told:
    """An index that calls every frame a key frame."""
    return Told(_reindexed(content, [(kind, flags | KEY, *rest) for kind, flags, *rest in _parts(content)[3]]))


def none_key(content: bytes, _: Random) -> Told:
    """An index that calls no frame a key frame."""
    return Told(_reindexed(content, [(kind, flags & ~KEY, *rest) for kind, flags, *rest in _parts(content)[3]]))


def without_index(content: bytes, _: Random) -> Told:
    """No idx1: a program that crashed before it wrote it, but repaired the sizes."""
    _, start, end, _ = _parts(content)
    return Told(_sized(content[:start] + content[end:]))


def interrupted(content: bytes, _: Random) -> Told:
    """Nothing was completed: no idx1, and sizes of 0."""
    movi, start, _, _ = _parts(content)
    content = content[:4] + bytes(4) + content[8 : movi + 4] + bytes(4) + content[movi + 8 : start]
    return Told(content)


def damaged_index(content: bytes, chance: Random) -> Told:
    """An idx1 of which a part is noise."""
    _, start, end, entries = _parts(content)
    first = chance.randrange(len(entries))
    last = min(first + chance.choice((1, 5, len(entries))), len(entries))
    noise = chance.randbytes(16 * (last - first))
    content = content[: start + 8 + 16 * first] + noise + content[start + 8 + 16 * last : end] + content[end:]
    return Told(content, noticed_afar=False)


def absolute_index(content: bytes, _: Random) -> Told:
    """Offsets from the beginning of the file, as some programs write them."""
    movi, *_, entries = _parts(content)
    return Told(_reindexed(content, [(kind, flags, at + movi + 8, size) for kind, flags, at, size in entries]))


def _patched(content: bytes, mark: bytes, offset: int, value: int) -> bytes:
    at = content.index(mark) + 4 + offset
    return content[:at] + struct.pack("<I", value & 0xFFFFFFFF) + content[at + 4 :]


def stream_length(content: bytes, chance: Random) -> Told:
    """A strh that claims another number of frames."""
    at = content.index(b"vids") + 32
    length = chance.choice((0, 7, 3_661_000))
    return Told(content[:at] + struct.pack("<I", length) + content[at + 4 :])


def frames_of_all(content: bytes, chance: Random) -> Told:
    """An avih that claims another number of frames."""
    return Told(_patched(content, b"avih", 4 + 16, chance.choice((0, 7, 3_661_000))))


def list_too_long(content: bytes, chance: Random) -> Told:
    """A movi that claims more than there is, before an index that is right."""
    movi, *_ = _parts(content)
    (now,) = struct.unpack_from("<I", content, movi + 4)
    size = now + chance.choice((2, 16, 1000, 1 << 20, 1 << 30))
    return Told(content[: movi + 4] + struct.pack("<I", size) + content[movi + 8 :])


def list_of_no_size(content: bytes, chance: Random) -> Told:
    """A movi whose size was never filled in, before an index that is right."""
    movi, *_ = _parts(content)
    return Told(content[: movi + 4] + chance.choice((bytes(4), b"\xff" * 4)) + content[movi + 8 :])


def zeros_before(content: bytes, chance: Random) -> Told:
    """Zeros before the list of media data."""
    movi, *_ = _parts(content)
    return Told(_sized(content[:movi] + bytes(chance.choice((2, 4, 8, 100, 3000))) + content[movi:]))


def _spread(content: bytes, chance: Random, filling: bytes, odd: bool) -> bytes:
    """With `filling` after some chunks of media data (those of odd size alone, in place of their padding)."""
    movi, start, end, entries = _parts(content)
    pieces, made, shift, at = [], [], 0, 4
    for kind, flags, offset, size in entries:
        pieces.append(content[movi + 8 + at : movi + 8 + offset])
        whole = 8 + size + size % 2
        chunk = content[movi + 8 + offset :][:whole]
        made.append((kind, flags, offset + shift, size))
        at = offset + whole
        if odd and size % 2:
            chunk = chunk[:-1]
            shift -= 1
        elif not odd and chance.random() < 0.3:
            chunk += filling
            shift += len(filling)
        pieces.append(chunk)
    pieces.append(content[movi + 8 + at : start])
    media = b"movi" + b"".join(pieces)
    media += bytes(len(media) % 2)
    front = content[:movi] + struct.pack("<4sI", b"LIST", len(media)) + media
    return _sized(front + _index(made) + content[end:])


def zeros_between(content: bytes, chance: Random) -> Told:
    """Zeros between chunks, which the index knows."""
    return Told(_spread(content, chance, bytes(chance.choice((2, 4, 30))), odd=False))


def without_padding(content: bytes, chance: Random) -> Told:
    """Chunks of odd size without the byte that the format asks for."""
    return Told(_spread(content, chance, b"", odd=True))


def headers_junk(content: bytes, chance: Random) -> Told:
    """Many chunks before the media data."""
    movi, *_ = _parts(content)
    junk = b"".join(struct.pack("<4sI", b"JUNK", 20) + bytes(20) for _ in range(chance.choice((20, 500))))
    return Told(_sized(content[:movi] + junk + content[movi:]))


def opendml(content: bytes, parts: int = 3) -> bytes:
    """The same film as OpenDML has it: several RIFFs, an index in each, and an index of these (AVI 2.0)."""
    movi, _, _, entries = _parts(content)
    streams = sorted({kind[:2] for kind, *_ in entries})
    groups = [entries[len(entries) * part // parts : len(entries) * (part + 1) // parts] for part in range(parts)]
    file = File.parse(_sized(content[:movi]))
    headers = next(node for node in file.nodes() if node.lead == b"hdrl")
    lists = [node for node in headers.children or [] if node.lead == b"strl"]
    for stream in lists:
        stream.children = [node for node in stream.children or [] if node.type not in (b"JUNK", b"indx")]
        stream.children.append(Node(b"indx", bytes(24 + 16 * parts)))
    front = file.write()
    supers: dict[bytes, list[bytes]] = {name: [] for name in streams}
    body = b""
    for part, group in enumerate(groups):
        riff = len(front) + len(body) if part else 0
        head = (12 if part else len(front)) + 12  # RIFF and LIST movi
        base = (riff if part else 0) + head
        media, tables = b"", dict.fromkeys(streams, b"")
        for kind, flags, offset, size in group:
            chunk = content[movi + 8 + offset :][: 8 + size + size % 2]
            mark = size | (0 if flags & KEY else 1 << 31)
            tables[kind[:2]] += struct.pack("<II", len(media) + 8, mark)
            media += chunk
        for name in streams:
            kind = next(kind for kind, *_ in entries if kind[:2] == name)
            count = len(tables[name]) // 8
            index = struct.pack("<HBBI4sQI", 2, 0, 1, count, kind, base, 0) + tables[name]
            supers[name].append(struct.pack("<QII", base + len(media), len(index) + 8, count))
            media += struct.pack("<4sI", b"ix" + name, len(index)) + index
        listed = struct.pack("<4sI", b"LIST", len(media) + 4) + b"movi" + media
        if part:
            body += struct.pack("<4sI", b"RIFF", len(listed) + 4) + b"AVIX" + listed
        else:
            body += listed
            first = len(front) + len(listed) - 8
    for number, stream in enumerate(lists):
        kind = next(kind for kind, *_ in entries if kind[:2] == streams[number])
        head = struct.pack("<HBBI4s12x", 4, 0, 0, parts, kind)
        (stream.children or [])[-1].lead = head + b"".join(supers[streams[number]])
    front = file.write()
    return front[:4] + struct.pack("<I", first) + front[8:] + body


AVI_LIES: Final[dict[str, Lie]] = {
    "no lie": plain,
    "all key": all_key,
    "none key": none_key,
    "no idx1": without_index,
    "interrupted": interrupted,
    "damaged idx1": damaged_index,
    "absolute idx1": absolute_index,
    "strh length": stream_length,
    "avih frames": frames_of_all,
    "movi too long": list_too_long,
    "movi of no size": list_of_no_size,
    "zeros before": zeros_before,
    "zeros between": zeros_between,
    "odd chunks": without_padding,
    "many chunks before": headers_junk,
    "opendml": lambda content, _: Told(opendml(content), warned=False),
    "cut": cut,
    "cut again": cut,
    "zeros": padded,
    "garbage": garbage,
}
