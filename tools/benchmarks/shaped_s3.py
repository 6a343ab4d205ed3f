"""A local S3 for reading objects, with the latency and bandwidth of the real one.

`python -m tools.benchmarks.shaped_s3 FOLDER` serves FOLDER/<key> at /<bucket>/<key> for any bucket, prints its port and
stops when its input ends. Signatures are not checked. GET and HEAD support Range, If-Match, and versionId; the
function's other calls are answered too (bookkeeping.py). GET /__stats returns the statistics since the last call.

The first byte of a response takes FIRST_BYTE seconds, the rest arrives at CONNECTION_RATE; with --shared N, all
connections together are also limited to N MB/s. Connecting takes no time; a real connection needs a round trip or two.
"""

import argparse
import json
import os
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from tools.benchmarks import bookkeeping
from tools.benchmarks.shaping import Pace, Stats

FIRST_BYTE: Final = 0.020  # seconds; S3 takes 10 to 30 ms for small ranges
CONNECTION_RATE: Final = 80e6  # bytes per second; AWS documents 85 to 90 MB/s per connection
VERSION: Final = "bench-1"
CHUNKS: Final = (
    32 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
)  # small at first, for streaming readers
SEND_BUFFER: Final = 512 << 10  # limits the bytes that are counted but never read


@dataclass(frozen=True)
class Answer:
    status: str
    headers: dict[str, str]
    body: bytes = b""
    file: Path | None = None
    start: int = 0
    end: int = 0


def etag(file: Path) -> str:
    """Like S3's, without quotes: changes with the content."""
    facts = file.stat()
    return f"{facts.st_mtime_ns:x}-{facts.st_size:x}"


def answer(folder: Path, target: str, headers: dict[str, str]) -> Answer:
    """A response of S3."""
    url = urlsplit(target)
    key = unquote(url.path).lstrip("/").partition("/")[2]
    file = folder / key
    if ".." in key or not file.is_file():
        return _error("404 Not Found", "NoSuchKey")
    if parse_qs(url.query).get("versionId", [VERSION])[0] != VERSION:
        return _error("404 Not Found", "NoSuchVersion")
    tag, size = f'"{etag(file)}"', file.stat().st_size
    if headers.get("if-match", tag) not in (tag, tag.strip('"')):
        return _error("412 Precondition Failed", "PreconditionFailed")
    start, end, status = 0, size, "200 OK"
    ranged = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", "").strip())
    if ranged and ranged.group(0) != "bytes=-":
        first, last = ranged.groups()
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if start >= end:
            return _error("416 Range Not Satisfiable", "InvalidRange")
        status = "206 Partial Content"
    said = {
        "Content-Length": str(end - start),
        "Content-Type": "binary/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(file.stat().st_mtime)),
        "x-amz-version-id": VERSION,
    }
    if status.startswith("206"):
        said["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Answer(status, said, file=file, start=start, end=end)


def done(body: bytes | None) -> Answer | None:
    """The response with that body."""
    return None if body is None else Answer("200 OK", {"Content-Length": str(len(body)), "ETag": '"0"'}, body)


def _error(status: str, code: str) -> Answer:
    body = f"<Error><Code>{code}</Code></Error>".encode()
    return Answer(status, {"Content-Type": "application/xml", "Content-Length": str(len(body))}, body)


def converse(connection: socket.socket, folder: Path, stats: Stats, shared: Pace | None) -> None:
    """Answers requests on one connection until it is closed."""
    with connection, connection.makefile("rb") as incoming:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        try:
            while line := incoming.readline().decode("latin-1").strip():
                method, target, _ = line.split(" ")
                fields = iter(lambda: incoming.readline().decode("latin-1").strip(), "")
                headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
                if target == "/__stats":
                    statistics = done(json.dumps(stats.take()).encode())
                    assert statistics
                    _send_head(connection, statistics)
                    connection.sendall(statistics.body)
                    continue
                begun = time.monotonic()
                if "expect" in headers:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                incoming.read(int(headers.get("content-length", 0)))
                said = done(bookkeeping.answer(method, target, headers)) or answer(folder, target, headers)
                time.sleep(max(0.0, begun + FIRST_BYTE - time.monotonic()))
                stats.request(begun, time.monotonic())
                _send_head(connection, said)
                if method in ("GET", "POST"):
                    _send_body(connection, said, stats, shared)
                if headers.get("connection", "").lower() == "close":
                    return
        except ConnectionError:
            return  # the client disconnected


def _send_head(connection: socket.socket, said: Answer) -> None:
    lines = [f"HTTP/1.1 {said.status}", *(f"{name}: {value}" for name, value in said.headers.items()), "", ""]
    connection.sendall("\r\n".join(lines).encode("latin-1"))


def _send_body(connection: socket.socket, said: Answer, stats: Stats, shared: Pace | None) -> None:
    if said.file is None:
        return connection.sendall(said.body)
    pace, at, number = Pace(CONNECTION_RATE), said.start, 0
    file = os.open(said.file, os.O_RDONLY)
    try:
        while at < said.end:
            until = min(at + CHUNKS[min(number, len(CHUNKS) - 1)], said.end)
            number += 1
            pace.wait(until - at)
            if shared:
                shared.wait(until - at)
            while at < until:
                sent = os.sendfile(connection.fileno(), file, at, until - at)
                stats.sent(sent)
                at += sent
    finally:
        os.close(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shared", type=float, metavar="N", help="MB/s of all connections together")
    arguments = parser.parse_args()
    shared = Pace(arguments.shared * 1e6) if arguments.shared else None
    stats = Stats()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        print(server.getsockname()[1], flush=True)

        def accept() -> None:
            while True:
                connection, _ = server.accept()
                threading.Thread(
                    target=converse, args=(connection, arguments.folder, stats, shared), daemon=True
                ).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()  # until the parent process ends


if __name__ == "__main__":
    main()
