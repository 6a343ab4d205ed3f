"""Defects in AVI files from old cameras, capture programs and accidents."""

import struct
from collections.abc import Iterable
from random import Random
from typing import Final

from tests.support.riff import KEY, Entry, opendml, parts, sized
from tests.truth.lies import Lie, Told, cut, garbage, padded, plain, unwritten


def _index(entries: Iterable[Entry]) -> bytes:
    table = b"".join(struct.pack("<4sIII", *entry) for entry in entries)
    return struct.pack("<4sI", b"idx1", len(table)) + table


def _reindexed(content: bytes, entries: Iterable[Entry]) -> bytes:
    _, start, end, _ = parts(content)
    return sized(content[:start] + _index(entries) + content[end:])


def all_key(content: bytes, _: Random) -> Told:
    """An index that calls every frame a key frame."""
    return Told(_reindexed(content, [(kind, flags | KEY, *rest) for kind, flags, *rest in parts(content)[3]]))


def none_key(content: bytes, _: Random) -> Told:
    """An index that calls no frame a key frame."""
    return Told(_reindexed(content, [(kind, flags & ~KEY, *rest) for kind, flags, *rest in parts(content)[3]]))


def without_index(content: bytes, _: Random) -> Told:
    """No idx1, but correct sizes, as from a program that crashed before writing it."""
    _, start, end, _ = parts(content)
    return Told(sized(content[:start] + content[end:]))


def interrupted(content: bytes, _: Random) -> Told:
    """An unfinished file: no idx1, and sizes of 0."""
    movi, start, _, _ = parts(content)
    content = content[:4] + bytes(4) + content[8 : movi + 4] + bytes(4) + content[movi + 8 : start]
    return Told(content)


def damaged_index(content: bytes, chance: Random) -> Told:
    """An idx1 that is partly noise."""
    _, start, end, entries = parts(content)
    first = chance.randrange(len(entries))
    last = min(first + chance.choice((1, 5, len(entries))), len(entries))
    noise = chance.randbytes(16 * (last - first))
    content = content[: start + 8 + 16 * first] + noise + content[start + 8 + 16 * last : end] + content[end:]
    return Told(content, noticed_afar=False)


def absolute_index(content: bytes, _: Random) -> Told:
    """Offsets from the beginning of the file, as some programs write them."""
    movi, *_, entries = parts(content)
    return Told(_reindexed(content, [(kind, flags, at + movi + 8, size) for kind, flags, at, size in entries]))


def _patched(content: bytes, mark: bytes, offset: int, value: int) -> bytes:
    at = content.index(mark) + 4 + offset
    return content[:at] + struct.pack("<I", value & 0xFFFFFFFF) + content[at + 4 :]


def stream_length(content: bytes, chance: Random) -> Told:
    """A strh that claims another number of frames."""
    at = content.index(b"vids") + 32
    length = chance.choice((0, 7, 3_661_000))
    return Told(content[:at] + struct.pack("<I", length) + content[at + 4 :])


def stream_rate(content: bytes, chance: Random) -> Told | None:
    """A strh with an absurd or missing frame rate."""
    (microseconds,) = struct.unpack_from("<I", content, content.index(b"avih") + 8)
    if microseconds < 1000:  # of a film whose frames are very different, and then nothing says more
        return None
    at = content.index(b"vids") + 20
    rate = struct.pack("<II", *chance.choice(((0, 0), (0, 25), (1, 12_000_000))))
    return Told(content[:at] + rate + content[at + 8 :])


def frames_of_all(content: bytes, chance: Random) -> Told:
    """An avih that claims another number of frames."""
    return Told(_patched(content, b"avih", 4 + 16, chance.choice((0, 7, 3_661_000))))


def list_too_long(content: bytes, chance: Random) -> Told:
    """A movi that claims too much, before a correct index."""
    movi, *_ = parts(content)
    (now,) = struct.unpack_from("<I", content, movi + 4)
    size = now + chance.choice((2, 16, 1000, 1 << 20, 1 << 30))
    return Told(content[: movi + 4] + struct.pack("<I", size) + content[movi + 8 :])


def list_of_no_size(content: bytes, chance: Random) -> Told:
    """A movi without a size, before a correct index."""
    movi, *_ = parts(content)
    return Told(content[: movi + 4] + chance.choice((bytes(4), b"\xff" * 4)) + content[movi + 8 :])


def zeros_before(content: bytes, chance: Random) -> Told:
    """Zeros before the list of media data."""
    movi, *_ = parts(content)
    return Told(sized(content[:movi] + bytes(chance.choice((2, 4, 8, 100, 3000))) + content[movi:]))


def _spread(content: bytes, chance: Random, filling: bytes, odd: bool) -> bytes:
    """Inserts `filling` after some chunks of media data (only odd ones, instead of their padding)."""
    movi, start, end, entries = parts(content)
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
    return sized(front + _index(made) + content[end:])


def zeros_between(content: bytes, chance: Random) -> Told:
    """Zeros between chunks, with a correct index."""
    return Told(_spread(content, chance, bytes(chance.choice((2, 4, 30))), odd=False))


def without_padding(content: bytes, chance: Random) -> Told:
    """Odd chunks without the required padding byte."""
    return Told(_spread(content, chance, b"", odd=True))


def headers_junk(content: bytes, chance: Random) -> Told:
    """Many chunks before the media data."""
    movi, *_ = parts(content)
    junk = b"".join(struct.pack("<4sI", b"JUNK", 20) + bytes(20) for _ in range(chance.choice((20, 500))))
    return Told(sized(content[:movi] + junk + content[movi:]))


AVI_LIES: Final[dict[str, Lie]] = {
    "no lie": plain,
    "all key": all_key,
    "none key": none_key,
    "no idx1": without_index,
    "interrupted": interrupted,
    "damaged idx1": damaged_index,
    "absolute idx1": absolute_index,
    "strh length": stream_length,
    "strh rate": stream_rate,
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
    "unwritten": unwritten,
    "zeros": padded,
    "garbage": garbage,
}
