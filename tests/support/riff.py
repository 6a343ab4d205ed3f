"""Parses AVI files, and rewrites them as OpenDML."""

import struct
from typing import Final

from tests.fuzz.mutations import File, Node

type Entry = tuple[bytes, int, int, int]  # chunk, flags, offset from "movi", size

KEY: Final = 0x10


def parts(content: bytes) -> tuple[int, int, int, list[Entry]]:
    """The offsets of the list `movi` and the chunk `idx1`, the end of the latter, and its entries."""
    movi = content.index(b"movi") - 8
    idx1 = content.index(b"idx1", movi + 8 + struct.unpack_from("<I", content, movi + 4)[0])
    (size,) = struct.unpack_from("<I", content, idx1 + 4)
    return movi, idx1, idx1 + 8 + size, list(struct.iter_unpack("<4sIII", content[idx1 + 8 :][:size]))


def sized(content: bytes) -> bytes:
    """Sets the correct size of the RIFF."""
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def opendml(content: bytes, count: int = 3) -> bytes:
    """The same video as OpenDML (AVI 2.0): several RIFFs with an index each, and an index of indexes."""
    movi, _, _, entries = parts(content)
    streams = sorted({kind[:2] for kind, *_ in entries})
    groups = [entries[len(entries) * part // count : len(entries) * (part + 1) // count] for part in range(count)]
    file = File.parse(sized(content[:movi]))
    headers = next(node for node in file.nodes() if node.lead == b"hdrl")
    lists = [node for node in headers.children or [] if node.lead == b"strl"]
    for stream in lists:
        stream.children = [node for node in stream.children or [] if node.type not in (b"JUNK", b"indx")]
        stream.children.append(Node(b"indx", bytes(24 + 16 * count)))
    (main,) = (node for node in file.nodes() if node.type == b"avih")
    pictures = sum(kind[2:] in (b"dc", b"db") for kind, *_ in groups[0])
    main.lead = main.lead[:16] + struct.pack("<I", pictures) + main.lead[20:]  # only those of the first RIFF
    front = file.write()
    supers: dict[bytes, list[bytes]] = {name: [] for name in streams}
    body = b""
    for part, group in enumerate(groups):
        riff = len(front) + len(body) if part else 0
        head = (12 if part else len(front)) + 12  # RIFF and LIST movi
        base = (riff if part else 0) + head
        media, tables, legacy = b"", dict.fromkeys(streams, b""), b""
        for kind, flags, offset, size in group:
            chunk = content[movi + 8 + offset :][: 8 + size + size % 2]
            mark = size | (0 if flags & KEY else 1 << 31)
            tables[kind[:2]] += struct.pack("<II", len(media) + 8, mark)
            legacy += struct.pack("<4sIII", kind, flags, len(media) + 4, size)
            media += chunk
        for name in streams:
            kind = next(kind for kind, *_ in entries if kind[:2] == name)
            frames = len(tables[name]) // 8
            index = struct.pack("<HBBI4sQI", 2, 0, 1, frames, kind, base, 0) + tables[name]
            supers[name].append(struct.pack("<QII", base + len(media), len(index) + 8, frames))
            media += struct.pack("<4sI", b"ix" + name, len(index)) + index
        listed = struct.pack("<4sI", b"LIST", len(media) + 4) + b"movi" + media
        if part:
            body += struct.pack("<4sI", b"RIFF", len(listed) + 4) + b"AVIX" + listed
        else:
            body += listed + struct.pack("<4sI", b"idx1", len(legacy)) + legacy  # for programs that know only AVI 1.0
            first = len(front) + len(body) - 8
    for number, stream in enumerate(lists):
        kind = next(kind for kind, *_ in entries if kind[:2] == streams[number])
        head = struct.pack("<HBBI4s12x", 4, 0, 0, count, kind)
        (stream.children or [])[-1].lead = head + b"".join(supers[streams[number]])
    front = file.write()
    return front[:4] + struct.pack("<I", first) + front[8:] + body
