"""An inspected file may refer to other files or URLs, none of which is ever opened.

The traps are a file that is monitored with inotify, and a listener on loopback.
"""

import ctypes
import os
import struct
import sys
from pathlib import Path

import av
import pytest

from tests.support.boxes import FTYP, box, full, movie, numbers, picture_entry
from tests.support.files import File
from tests.support.listener import Listener
from tools.videos import video
from video_intake.media import container
from video_intake.media.inspector import Limits, inspect
from video_intake.media.movie import Movie
from video_intake.media.verdicts import Rejected

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

IN_OPEN = 0x20  # inotify(7)


class Canary:
    """A playable video on disk, and whether it was opened."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(video("mov", size=(64, 48), seconds=0.2, audio=None))
        self.path = path
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._watch, bytes(path), IN_OPEN) > 0

    def opened(self) -> bool:
        try:
            return bool(os.read(self._watch, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._watch)


@pytest.fixture
def canary(tmp_path):
    trap = Canary(tmp_path / "canary.mov")
    yield trap
    trap.close()


def alias(path: str) -> bytes:
    """A QuickTime reference to another file, with its whole path, as FFmpeg reads it."""
    name = path.rsplit("/", 1)[-1].encode()
    volume = struct.pack(">B27s", 4, b"disk") + bytes(12)
    record = bytes(10) + volume + struct.pack(">B63s", len(name), name) + bytes(16)
    levels = struct.pack(">hh", 0, path.count("/") - 1) + bytes(16)
    full_path = struct.pack(">hh", 2, len(path)) + path.encode() + bytes(len(path) % 2)
    return full(b"dref", numbers(1), full(b"alis", record, levels, full_path, struct.pack(">hh", -1, 0)))


def url(where: str) -> bytes:
    return full(b"dref", numbers(1), full(b"url ", where.encode() + b"\0"))


def elsewhere(dref: bytes) -> bytes:
    """A video whose media data is in another file."""
    return movie(picture_entry(b"avc1", 64, 48), [bytes(100)], dref=dref, ftyp=b"qt  \0\0\2\0qt  ")


def reference_movie(kind: bytes, where: bytes) -> bytes:
    """A QuickTime reference movie, which names another movie to play instead."""
    reference = full(b"rdrf", kind, numbers(len(where) + 1), where + b"\0")
    return box(b"ftyp", b"qt  \0\0\2\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", reference)))


TEXTS = {
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{0}\n#EXT-X-ENDLIST\n",
    "HLS behind a box": "\0\0\0\x10ftypisom\0\0\0\0#EXTM3U\n#EXTINF:10,\n{0}\n",
    "HLS behind RIFF": "RIFF\xff\xff\0\0AVI #EXTM3U\n#EXTINF:10,\n{0}\n",
    "concat": "ffconcat version 1.0\nfile '{0}'\n",
    "SDP": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video {1} RTP/AVP 96\r\n",
    "ffmetadata": ";FFMETADATA1\ntitle={0}\n",
    "DASH": '<?xml version="1.0"?><MPD><Period><AdaptationSet><BaseURL>{0}</BaseURL></AdaptationSet></Period></MPD>',
    "subtitles": "1\n00:00:00,000 --> 00:00:10,000\n{0}\n",
    "a list": "{0}\n",
}


def referring(canary: Canary, listener: Listener) -> dict[str, bytes]:
    """Files of every kind that refer to the two traps."""
    path, address = str(canary.path), f"http://127.0.0.1:{listener.port}/canary.mov"
    files = {
        f"{name} to {target}": text.format(target, listener.port).encode("latin-1")
        for name, text in TEXTS.items()
        for target in (path, f"file://{path}", address)
    }
    return files | {
        "alias": elsewhere(alias(path)),
        "url of a file": elsewhere(url(f"file://{path}")),
        "url": elsewhere(url(address)),
        "reference movie of a file": reference_movie(b"alis", path.encode()),
        "reference movie": reference_movie(b"url ", address.encode()),
        "alias with ftyp of MP4": elsewhere(alias(path)).replace(b"qt  \0\0\2\0qt  ", FTYP[:12]),
    }


def test_no_referenced_file_or_url_is_opened(canary, listener):
    for name, content in referring(canary, listener).items():
        with pytest.raises(Rejected):
            inspect(File(content).reader(), Limits())
        assert not canary.opened(), name
        assert not listener.called(), name


def test_the_decoder_cannot_open_files_or_connections(canary, listener, monkeypatch):
    """Even if FFmpeg followed references, no protocol is allowed."""
    following = {"enable_drefs": "1", "use_absolute_path": "1"}
    monkeypatch.setattr(container, "OPTIONS", container.OPTIONS | following)
    monkeypatch.setattr(Movie, "refers_elsewhere", lambda self: False)  # FFmpeg usually does not see it
    with pytest.raises(Rejected):
        inspect(File(elsewhere(alias(str(canary.path)))).reader(), Limits())
    assert not canary.opened()


def test_the_traps_work(canary, listener, monkeypatch):
    """If allowed, FFmpeg follows the alias and opens the URL."""
    assert not canary.opened()
    loose = {"enable_drefs": "1", "use_absolute_path": "1", "protocol_whitelist": "file"}
    monkeypatch.setattr(container, "OPTIONS", container.OPTIONS | loose)
    monkeypatch.setattr(Movie, "refers_elsewhere", lambda self: False)
    with pytest.raises(Rejected):
        inspect(File(elsewhere(alias(str(canary.path)))).reader(), Limits())
    assert canary.opened()
    with pytest.raises(av.FFmpegError):
        av.open(f"http://127.0.0.1:{listener.port}/canary.mov", timeout=0.5)
    assert listener.called()
