"""Identifying a file by its first bytes, compared with what other programs write."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import av
import pytest

from video_intake.media import signatures
from video_intake.media.signatures import ENOUGH

AUDIO = ("pcm_s16le", "libmp3lame", "flac")
PIXELS = {"apng": "rgb24", "gif": "rgb8", "mjpeg": "yuvj420p"}
# FFmpeg's muxers: a codec, and the kind of file
WRITTEN = {
    "wav": ("pcm_s16le", "a WAV audio file"),
    "mp3": ("libmp3lame", "an MP3 audio file"),
    "flac": ("flac", "a FLAC audio file"),
    "ogg": ("flac", "an Ogg file"),
    "matroska": ("mpeg4", "a Matroska or WebM video"),
    "flv": ("flv", "a Flash video"),
    "asf": ("mpeg4", "a Windows Media file"),
    "vob": ("mpeg2video", "an MPEG program stream"),
    "mpeg2video": ("mpeg2video", "an MPEG video stream"),
    "mxf": ("mpeg2video", "an MXF file"),
    "gif": ("gif", "a GIF picture"),
    "apng": ("apng", "a PNG picture"),
    "mjpeg": ("mjpeg", "a JPEG picture"),
}


def _tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("clip.mp4"), io.BytesIO())
    return target.getvalue()


def _zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("clip.mp4", b"")
    return target.getvalue()


PACKED = {
    "a gzip archive": lambda: gzip.compress(b""),
    "a bzip2 archive": lambda: bz2.compress(b""),
    "an XZ archive": lambda: lzma.compress(b""),
    "a tar archive": _tar,
    "a ZIP archive or an Office document": _zip,
}
# Formats that nothing here writes, as in their specifications
BEGINNINGS = [
    (bytes.fromhex("52494646 24000000 57454250 56503820"), "a WebP picture"),  # RFC 9649
    (bytes.fromhex("49492a00 08000000"), "a TIFF or raw picture"),  # TIFF 6.0
    (bytes.fromhex("4d4d002a 00000008"), "a TIFF or raw picture"),
    (bytes.fromhex("377abcaf271c 0004"), "a 7-Zip archive"),  # 7zFormat.txt of the LZMA SDK
    (bytes.fromhex("526172211a0700"), "a RAR archive"),  # RARLAB's technote
    (bytes.fromhex("28b52ffd 04"), "a Zstandard archive"),  # RFC 8878
    (bytes.fromhex("7f454c46 02010100"), "a program (ELF)"),
    (bytes.fromhex("4d5a9000 03000000"), "a program (Windows)"),
    (b"%PDF-1.7\n", "a PDF document"),
    (b"{\\rtf1\\ansi", "an RTF document"),
    (b"#EXTM3U\n#EXT-X-VERSION:3\n", "a playlist (M3U, HLS)"),  # RFC 8216
    (b"ffconcat version 1.0\nfile 'a.mp4'\n", "a playlist (FFmpeg concat)"),
    (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "a session description (SDP)"),  # RFC 8866
    (b"v=0\no=- 0 0 IN IP4 127.0.0.1\n", "a session description (SDP)"),
]


@pytest.mark.parametrize("magic", [b"RIFF", b"RIFX", b"ON2 "])
@pytest.mark.parametrize("form", [b"AVI ", b"AVIX", b"AVI\x19", b"AVIF"])
def test_the_variants_of_avi(magic, form):
    assert signatures.container(magic + b"\x10\x20\x30\x40" + form + bytes(500)) == signatures.AVI


@pytest.mark.parametrize(
    "head",
    [b"RIFF\x10\x20\x30\x40WAVE", b"RIFF\x10\x20\x30\x40avi ", b"XXXX\x10\x20\x30\x40AVI ", b"RIFF", b"", b"xxxxftyX"],
)
def test_unsupported_containers(head):
    assert signatures.container(head + bytes(500)) is None


@pytest.mark.parametrize("box", b"ftyp moov mdat free skip wide pnot uuid styp moof sidx emsg prft".split())
def test_every_first_box(box):
    assert signatures.container(b"\0\0\0\x20" + box) == signatures.ISOBMFF


@pytest.mark.parametrize("format", WRITTEN)
def test_what_other_muxers_write(format):
    codec, name = WRITTEN[format]
    target = io.BytesIO()
    with av.open(target, "w", format=format) as output:
        stream = output.add_stream(codec, rate=8000 if codec in AUDIO else 25)
        if codec in AUDIO:
            stream.layout = "mono"
            frame = av.AudioFrame(format=stream.format.name, layout="mono", samples=stream.frame_size or 1152)
            frame.sample_rate = 8000
        else:
            stream.width, stream.height, stream.pix_fmt = 64, 64, PIXELS.get(codec, "yuv420p")
            frame = av.VideoFrame(64, 64, stream.pix_fmt)
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert signatures.describe(target.getvalue()[:512]) == name


@pytest.mark.parametrize("name", PACKED)
def test_what_archivers_write(name):
    assert signatures.describe(PACKED[name]()[:512]) == name


@pytest.mark.parametrize(("head", "name"), BEGINNINGS)
def test_the_beginnings_of_other_files(head, name):
    assert signatures.describe(head + bytes(512)) == name
    assert signatures.describe(b" " + head + bytes(512)) != name, "only at the beginning"


def test_every_signature_is_tested():
    tested = {name for _, name in WRITTEN.values()} | PACKED.keys() | {name for _, name in BEGINNINGS}
    assert tested == {name for _, _, name in signatures.OTHERS}


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"G" + bytes(187) + b"G" + bytes(400), "an MPEG transport stream"),
        (b"1234G" + bytes(191) + b"G" + bytes(400), "an MPEG transport stream"),  # with times, as on Blu-ray discs
        (b"G" + bytes(600), ""),
        (bytes(188) + b"G" + bytes(400), ""),
        ("Ein kurzer Brief an die Größten,\n\tmit Zeilen.".encode(), "text"),
        (b"cut within a letter: \xc3", "text"),
        (b"latin letters: \xe9 and more", ""),
        (b"a bell: \x07", ""),
    ],
)
def test_what_has_no_signature(head, name):
    assert signatures.describe(head) == name


@pytest.mark.parametrize(
    ("head", "conversion"),
    [
        ("\ufffd".encode() * ENOUGH, "UTF-8 text"),
        ("\ufffd".encode() * (ENOUGH - 1), ""),  # it may have been in the text
        (b"\0\0\0\x20ftyp" + "\x80äöüß\x99".encode() + bytes(99), "UTF-8 text"),
        (b"\0\0\0\x20ftyp" + "äöüß".encode() * 9, ""),  # names and comments
        (b"\0\0\0\x20ftyp" + b"\xff\r\n" * ENOUGH, "lines of text"),
        (b"\0\0\0\x20ftyp" + b"\xff\r\n" * (ENOUGH - 1), ""),
        (b"\0\0\0\x20ftyp" + b"\xff\r\n" * ENOUGH + b"\n", ""),
        (b"\0\0\0\x20ftyp" + b"Text\r\n" * ENOUGH, ""),
    ],
)
def test_bytes_that_were_converted_as_text(head, conversion):
    """Only several of them prove it."""
    assert signatures.converted(head) == conversion
