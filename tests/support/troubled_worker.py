"""A worker that misbehaves for files that begin with the name of a problem, and otherwise works.

Tests use it as a decoder's command. The function only uses its own worker.
"""

import contextlib
import ctypes
import os
import socket
import time
from typing import Any

from video_intake import worker_process
from video_intake.media import wire, worker

COMMAND = (*worker_process.COMMAND[:-1], "tests.support.troubled_worker")

plain_inspect, plain_serve = worker.inspect, worker.serve
connections: list[socket.socket] = []


def serve(control: socket.socket, lanes: worker.Lanes) -> None:
    connections.append(control)
    plain_serve(control, lanes)


def inspect(reader: Any, limits: Any) -> Any:
    trouble = bytes(reader.peek(0, 20)).strip(b"\0").decode("latin-1")
    control, lanes = connections[0], reader._fetch.__self__
    match trouble:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "spin":
            while True:
                pass
        case "hang after failure":
            with contextlib.suppress(worker.Abandoned):
                lanes.fetch([(1, 2)])
            time.sleep(3600)
        case "hang":
            time.sleep(3600)
        case "memory":
            bytearray(8 << 30)
        case "more memory":
            kept = []
            while True:
                kept.append(bytearray(1 << 20))
        case "flood":
            while True:
                wire.send(control, {"lengths": []}, [bytes(1 << 20)])
        case "drip":
            control.sendall(wire.HEADER.pack(1 << 20, 0))
            while True:
                control.sendall(b" ")
                time.sleep(0.1)
        case "noise":
            control.sendall(os.urandom(1 << 16))
        case "deep":
            control.sendall(wire.HEADER.pack(200_000, 0) + b"[" * 200_000)
        case "endless":
            control.sendall(wire.HEADER.pack(1 << 31, 0))
        case "huge picture":
            control.sendall(wire.HEADER.pack(2, 1 << 40) + b"{}")
        case "lie":
            wire.send(control, {"inspection": {"video": "yes"}, "lengths": []})
        case "strange rejection":
            wire.send(control, {"rejected": "__class__", "evidence": {}, "lengths": []})
        case "strange evidence":
            wire.send(control, {"rejected": "empty", "evidence": {"a": 1}, "lengths": []})
        case "infinite evidence":
            wire.send(control, {"rejected": "too_slow", "evidence": {"a": float("inf")}, "lengths": []})
        case "long evidence":
            wire.send(control, {"rejected": "too_slow", "evidence": {"a": "x" * 500_000}, "lengths": []})
        case size if size.isdigit():  # bytes of pictures
            wire.send(control, {"rejected": "empty", "evidence": {}, "lengths": [int(size)]}, [bytes(int(size))])
            time.sleep(3600)
        case "lengths":
            wire.send(control, {"rejected": "empty", "evidence": {}, "lengths": "x"})
        case "negative":
            wire.send(control, {"rejected": "empty", "evidence": {}, "lengths": [-1, 1]})
        case "surplus":
            wire.send(control, {"rejected": "empty", "evidence": {}, "lengths": [1]}, [b"more"])
        case "long fault":
            wire.send(control, {"lengths": [], "fault": "x" * 100_000})
            os._exit(0)
        case "outside":
            lanes.fetch([(0, 1 << 40)])
        case "backwards":
            lanes.fetch([(10, 5)])
        case "not numbers":
            worker._asked(lanes._free.get(), [("a", "b")])
        case "greedy":
            while True:
                lanes.fetch([(0, reader.size)])
        case "nagging":
            while True:
                lanes.fetch([(0, 1)] * 1000)
        case "impatient":
            lane = lanes._free.get()
            while True:
                wire.send(lane, {"ranges": [[0, 1]]})
        case "file":
            os.open("/tmp/made-by-a-decoder", os.O_CREAT)
        case "socket":
            socket.socket()
        case "environment":
            raise ValueError(sorted(os.environ))
        case "fault":
            raise KeyError("a mistake of ours")
    return plain_inspect(reader, limits)


if __name__ == "__main__":
    worker.inspect, worker.serve = inspect, serve
    worker.main()
