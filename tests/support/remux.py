"""Remuxes packets that were encoded once into other layouts."""

import io
import tempfile
from pathlib import Path
from typing import Any

import av


def copy(content: bytes, output: Any) -> None:
    """Muxes all packets of a file into an open container."""
    with av.open(io.BytesIO(content)) as source:
        streams = {each.index: output.add_stream_from_template(each) for each in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)


def remuxed(content: bytes, container: str, flags: str = "") -> bytes:
    """The file remuxed with this muxer and these movflags."""
    with tempfile.TemporaryDirectory() as folder:  # some muxers reread their own file
        path = Path(folder, "file")
        with av.open(str(path), "w", format=container, options={"movflags": flags} if flags else {}) as output:
            copy(content, output)
        return path.read_bytes()
