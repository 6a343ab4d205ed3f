"""Messages between the function and its decoder: a JSON object, and bytes after it, over a local socket.

JSON and lengths, never pickle: whatever a hostile file makes of the decoder, its messages are only data.
"""

import json
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

HEADER: Final = struct.Struct(">IQ")  # bytes of JSON, bytes after it
MAX_JSON: Final = 1 << 20  # bytes; a result document has 4 KB, one with a hundred chapters 60

type Message = dict[str, Any]


class Broken(Exception):
    """The other side closed the connection, or sent what is not a message."""


def send(connection: socket.socket, message: Message, parts: Iterable[bytes] = ()) -> None:
    """Sends a message and the bytes of `parts`. Raises Broken, or TimeoutError where the socket has a timeout."""
    parts = list(parts)
    text = json.dumps(message).encode()
    try:
        connection.sendall(HEADER.pack(len(text), sum(map(len, parts))) + text)
        for part in parts:
            connection.sendall(part)
    except (BrokenPipeError, ConnectionError) as error:
        raise Broken(str(error)) from error


def receive(connection: socket.socket, max_bytes: int) -> tuple[Message, int]:
    """A message, and how many bytes follow it (at most `max_bytes`), which `exactly` reads.

    Raises Broken, or TimeoutError where the socket has a timeout.
    """
    length, follow = HEADER.unpack(exactly(connection, HEADER.size))
    if length > MAX_JSON or follow > max_bytes:
        raise Broken(f"a message of {length:,} and {follow:,} bytes")
    try:
        message = json.loads(exactly(connection, length))
    except (ValueError, RecursionError) as error:
        raise Broken("a message that is not JSON") from error
    if not isinstance(message, dict):
        raise Broken("a message that is not an object")
    return message, follow


def exactly(connection: socket.socket, length: int) -> bytes:
    """The next `length` bytes. Raises Broken where the connection ends before them."""
    content = bytearray(length)
    rest = memoryview(content)
    while rest:
        try:
            count = connection.recv_into(rest)
        except ConnectionError as error:
            raise Broken(str(error)) from error
        if not count:
            raise Broken("the connection was closed")
        rest = rest[count:]
    return bytes(content)


def pieces(connection: socket.socket, lengths: Sequence[int]) -> list[bytes]:
    """The bytes after a message, in pieces of `lengths`."""
    return [exactly(connection, length) for length in lengths]
