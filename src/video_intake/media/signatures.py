"""Identifies a file by its first bytes: as a supported container, or with a familiar name."""

import base64
import codecs
import re
import struct
from itertools import islice
from typing import Final

from video_intake.media import verdicts
from video_intake.media.range_reader import RangeReader
from video_intake.media.verdicts import Rejected

ISOBMFF, AVI = "mov", "avi"  # FFmpeg's names for the two demuxers

# The first box of an MP4 or MOV file: ISO/IEC 14496-12; QuickTime's own `wide`, `pnot`, `skip` and `free`.
FIRST_BOXES: Final = frozenset(b"ftyp moov mdat free skip wide pnot uuid styp moof sidx emsg prft".split())

# RFC 2046, 5.1.1, with or without text before the first part; HTML forms send RFC 7578
MULTIPART: Final = re.compile(
    rb"(?:[^\0]{0,1000}\n)?--[^\r\n\0]{1,100}\r?\n(?:[\w-]+:[^\r\n]*\r?\n)*?(Content-(?:Disposition|Type):[^\r\n]*)",
    re.IGNORECASE,
)
DATA_URL: Final = re.compile(rb'^"?(?:data:[^,\0]{0,200};base64,)?')  # RFC 2397; in JSON, in quotes
BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
URL_SAFE: Final = bytes.maketrans(b"-_ ", b"+/+")  # RFC 4648, 5; forms turn "+" into a space
BEGINNING: Final = re.compile(rb"\0\0[\0-\3].ftyp|RIFF....AVI LIST", re.DOTALL)  # of a video
BEFORE: Final = frozenset({"", "text", "an MP3 audio file"})  # may be only a tag or a header before a video
NO_TEXT: Final = re.compile("[\x80-\x9f\ufffd]")  # results of converting bytes, which are not in real text
NO_LINES: Final = re.compile(rb"[^\t\x20-\x7E]\r\n")
MARK: Final = 100  # bytes at the beginning of a text that identify it
LOOKED_AT: Final = 128 << 10  # bytes searched for a video that begins later
CANDIDATES: Final = 100  # possible beginnings
ENOUGH: Final = 6  # converted characters or lines: not a coincidence

# (offset, bytes, name); the first match wins. Names are from file(1) or common usage.
OTHERS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG\r\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"II*\0", "a TIFF or raw picture"),
    (0, b"MM\0*", "a TIFF or raw picture"),
    (8, b"WAVE", "a WAV audio file"),
    (0, b"ID3", "an MP3 audio file"),
    (0, b"fLaC", "a FLAC audio file"),
    (0, b"OggS", "an Ogg file"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (0, b"FLV\x01", "a Flash video"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file"),
    (0, b"\0\0\x01\xba", "an MPEG program stream"),
    (0, b"\0\0\x01\xb3", "an MPEG video stream"),
    (0, b"\x06\x0e\x2b\x34", "an MXF file"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a program (ELF)"),
    (0, b"MZ", "a program (Windows)"),
    (0, b"#EXTM3U", "a playlist (M3U, HLS)"),
    (0, b"ffconcat", "a playlist (FFmpeg concat)"),
    (0, b"v=0\r\no=", "a session description (SDP)"),
    (0, b"v=0\no=", "a session description (SDP)"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an XZ archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"{\\rtf", "an RTF document"),
)
# At the beginning of text, after white space, in upper or lower case
TEXTS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"<?xml", "an XML document"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"{", "a JSON document"),
)


def container(head: bytes) -> str | None:
    """The FFmpeg demuxer for a file that begins with `head`, or None if it is not supported."""
    if head[4:8] in FIRST_BOXES:
        return ISOBMFF
    if head[:4] in (b"RIFF", b"RIFX", b"ON2 ") and head[8:11] == b"AVI":
        return AVI
    return None


def rejection(reader: RangeReader, head: bytes) -> Rejected:
    """The verdict on a file in no supported container that begins with `head` (at least 512 bytes if possible)."""
    found = describe(head)
    if part := MULTIPART.match(head):
        return verdicts.form_upload("multipart/form-data" if b"form-data" in part[1] else "multipart")
    if found in BEFORE and (begin := _beginning(reader)):
        return verdicts.preceded(begin)
    if not head.strip(b"\0"):
        tail = reader.fetched_end()
        return verdicts.zeros(
            at_end=not tail.strip(b"\0"), everywhere=not tail.strip(b"\0") and len(tail) == reader.size
        )
    if _is_base64(head):
        return verdicts.base64_text()
    if not found and (conversion := converted(head)):
        return verdicts.converted(conversion)
    return verdicts.not_a_video(found, firstBytes=head[:16].hex(" "))


def _beginning(reader: RangeReader) -> int | None:
    """The offset of a video in the fetched beginning of the file; None if there is none."""
    head = reader.cached(0, LOOKED_AT)
    for found in islice(BEGINNING.finditer(head), CANDIDATES):
        at = found.start()
        (size,) = struct.unpack(">I", head[at : at + 4])
        if head[at : at + 4] == b"RIFF" or head[at + size + 4 : at + size + 8] in FIRST_BOXES:
            return at
    return None


def converted(head: bytes) -> str:
    """How binary data that begin with `head` were converted as if they were text; "" if they apparently were not.

    Only for files that are known to be damaged: an intact one may match by chance.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        text = ""
    if NO_TEXT.search(text) and sum(not character.isascii() for character in text) >= ENOUGH:
        return "UTF-8 text"
    bare = head.count(b"\n") - head.count(b"\r\n")
    return "lines of text" if not bare and len(NO_LINES.findall(head)) >= ENOUGH else ""


def describe(head: bytes) -> str:
    """The kind of file that begins with `head`, with its article; "" if unknown."""
    for offset, signature, name in OTHERS:
        if head[offset : offset + len(signature)] == signature:
            return name
    for packet, first in ((188, 0), (192, 4)):  # M2TS has a timestamp before each packet
        if head[first : first + 1] == b"G" == head[first + packet : first + packet + 1]:
            return "an MPEG transport stream"
    begin = head[:MARK].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for signature, name in TEXTS:
        if begin.startswith(signature):
            return name
    try:
        # A character that is cut off at the end is not an error
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        text = "\0"
    readable = all(character.isprintable() or character.isspace() for character in text)
    return "text" if readable else ""


def _is_base64(head: bytes) -> bool:
    """Whether it is Base64 text of a recognizable file, with or without the head of a data URL."""
    text = DATA_URL.sub(b"", head).translate(URL_SAFE, b'\r\n"')
    text = text[: len(text) // 4 * 4]
    if len(text) < 64 or not BASE64.fullmatch(text):
        return False
    content = base64.b64decode(text)
    return bool(container(content)) or any(content[at : at + len(mark)] == mark for at, mark, _ in OTHERS)
