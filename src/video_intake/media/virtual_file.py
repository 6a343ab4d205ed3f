"""What FFmpeg is shown of a file: a seekable file over fetched ranges, with parts of it hidden or written over."""

from typing import Final

from video_intake.media.range_reader import READ_AHEAD, RangeReader

# What FFmpeg reads at a time unless it wants more at once. So few that nearly every key frame is more, and is asked
# for as a whole; with FFmpeg's own 32 KB the first of a film often is not.
BUFFER: Final = 8 * 1024
MAX_AHEAD: Final = 8 * 1024 * 1024  # READ_AHEAD doubles up to here while one miss follows another: a long index


class VirtualFile:
    """A file to read from for PyAV: `read`, `seek`, `tell`.

    FFmpeg asks again after an error, so the first failure is kept and later reads find an end of file; whoever sees
    FFmpeg fail looks at `failure` first.
    """

    def __init__(self, reader: RangeReader) -> None:
        self.end = reader.size  # where `read` finds the end of the file
        self.failure: BaseException | None = None
        self.opening = False  # while true, packets that are not cached are zeros: see read()
        self.overlays: dict[int, bytes] = {}  # what `read` gives in place of the file's own bytes
        self._reader = reader
        self._hidden: list[tuple[int, int, bytes]] = []
        self._position = 0
        self._ahead, self._read_until = READ_AHEAD, -1

    def hide(self, start: int, end: int, header: bytes) -> None:
        """Lets `read` find `header` and then zeros in [start, end), which is never fetched."""
        self._hidden.append((start, end, header))

    def read(self, length: int) -> bytes:
        """Up to `length` bytes, never more: PyAV copies whatever it is given into FFmpeg's buffer.

        What FFmpeg wants at once and does not fit into its buffer is a packet. On opening it wants the first one of
        a track only to guess from what we know from the index, so that a round trip can be saved.
        """
        if self.failure or self._position >= self.end:
            return b""
        try:
            self._reader.check_time()  # of what is cached too: an index can send FFmpeg in circles
            ends = (self.end, *(start for start, _, _ in self._hidden if start > self._position))
            length = min(length, min(ends) - self._position)
            piece = self._hidden_bytes(length) or self._reader.cached(self._position, length)
            if not piece and self.opening and length > BUFFER:
                gap, gap_end = next(iter(self._reader.gaps(self._position, self._position + length)))
                piece = bytes(gap_end - gap)
            if not piece:
                self._ahead = min(2 * self._ahead, MAX_AHEAD) if self._position == self._read_until else READ_AHEAD
                self._read_until = self._position + (length if length > BUFFER else self._ahead)
                self._reader.load([(self._position, self._read_until)])
                piece = self._reader.cached(self._position, length)
        except BaseException as failure:
            self.failure = failure
            raise
        start = self._position
        self._position += len(piece)
        return self._overlaid(start, piece)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As io.IOBase.seek."""
        self._position = offset + (0, self._position, self.end)[whence]
        return self._position

    def tell(self) -> int:
        """The position of the next read."""
        return self._position

    def _hidden_bytes(self, length: int) -> bytes:
        for start, end, header in self._hidden:
            if start <= self._position < end:
                length = min(length, end - self._position, 4096)
                return header[self._position - start :][:length].ljust(length, b"\0")
        return b""

    def _overlaid(self, start: int, piece: bytes) -> bytes:
        for at, patch in self.overlays.items():
            if start < at + len(patch) and at < start + len(piece):
                first, last = max(at, start), min(at + len(patch), start + len(piece))
                piece = piece[: first - start] + patch[first - at : last - at] + piece[last - start :]
        return piece
