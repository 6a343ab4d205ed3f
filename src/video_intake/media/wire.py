"""Messages between the function and its decoder over a local socket: a JSON object followed by bytes.

JSON with lengths, never pickle: even if a hostile file takes over the decoder, its messages are only data.
"""

import json
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

HEADER: Final = struct.Struct(">IQ")  # bytes of JSON, bytes after it
MAX_JSON: Final = 1 << 20  # bytes; a result document has 4 KB, one with a hundred chapters 60
MAX_AT_ONCE: Final = 64 << 20  # bytes of several ranges in one message, which the sender holds until they are received
NEVER: Final = float("inf")

type Message = dict[str, Any]


class Broken(Exception):
    """The other side closed the connection or sent an invalid message."""


def send(connection: socket.socket, message: Message, parts: Iterable[bytes] = ()) -> None:
    """Sends a message and the bytes of `parts`. Raises Broken, or TimeoutError if the socket has a timeout."""
    parts = list(parts)
    text = json.dumps(message).encode()
    try:
        connection.sendall(HEADER.pack(len(text), sum(map(len, parts))) + text)
        for part in parts:
            connection.sendall(part)
    except ConnectionError as error:
        raise Broken(str(error)) from error


def receive(connection: socket.socket, max_bytes: int, deadline: float = NEVER) -> tuple[Message, int]:
    """Receives a message, and the number of bytes after it (at most `max_bytes`), which `pieces` reads.

    Raises Broken, or TimeoutError if it is not complete by the `deadline` (of time.monotonic).
    """
    length, follow = HEADER.unpack(_exactly(connection, HEADER.size, deadline))
    if length > MAX_JSON or follow > max_bytes:
        raise Broken(f"a message of {length:,} and {follow:,} bytes")
    try:
        message = json.loads(_exactly(connection, length, deadline))
    except (ValueError, RecursionError) as error:
        raise Broken("a message that is not JSON") from error
    if not isinstance(message, dict):
        raise Broken("a message that is not an object")
    return message, follow


def pieces(connection: socket.socket, lengths: Sequence[int], deadline: float = NEVER) -> list[bytes]:
    """The bytes after a message, in pieces of `lengths`. Raises as `receive` does."""
    return [_exactly(connection, length, deadline) for length in lengths]


def _exactly(connection: socket.socket, length: int, deadline: float) -> bytes:
    content = bytearray(length)
    rest = memoryview(content)
    while rest:
        if deadline != NEVER:  # for the whole message, in case it arrives byte by byte
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            count = connection.recv_into(rest)
        except ConnectionError as error:
            raise Broken(str(error)) from error
        if not count:
            raise Broken("the connection was closed")
        rest = rest[count:]
    return bytes(content)
