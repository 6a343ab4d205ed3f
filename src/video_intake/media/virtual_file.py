"""The file that FFmpeg reads: a seekable file of fetched ranges, with parts hidden or replaced."""

from typing import Final

from video_intake.media.range_reader import READ_AHEAD, RangeReader

# FFmpeg's buffer size; larger reads bypass it. It is smaller than nearly every key frame, so that those are read in one
# piece; with FFmpeg's default of 32 KB, the first one often is not.
BUFFER: Final = 8 * 1024
MAX_AHEAD: Final = 8 * 1024 * 1024  # READ_AHEAD doubles up to this on consecutive misses: a long index


class VirtualFile:
    """A readable file object for PyAV: `read`, `seek`, `tell`.

    It consists of `front`, the file's own bytes from `begin` on, and `back`.

    FFmpeg retries after an error, so the first failure is kept and later reads return an end of file: when FFmpeg
    fails, check `failure` first.
    """

    def __init__(self, reader: RangeReader, front: bytes = b"", begin: int = 0, back: bytes = b"") -> None:
        self.front, self.begin, self.back = front, begin, back
        self.failure: BaseException | None = None
        self.opening = False  # if true, packets that are not cached are zeros: see read()
        self.onward = False  # if true, packets are read sequentially, so more than each of them is fetched
        self._reader = reader
        self._hidden: list[tuple[int, int, bytes]] = []
        self._position = 0
        self._ahead, self._read_until = READ_AHEAD, -1

    @property
    def shift(self) -> int:
        """The difference between a read position and the offset in the file."""
        return len(self.front) - self.begin

    @property
    def end(self) -> int:
        """The position of the end of the file."""
        return self._reader.size + self.shift + len(self.back)

    def hide(self, start: int, end: int, header: bytes) -> None:
        """Replaces [start, end) of the file with `header` followed by zeros; it is never fetched."""
        self._hidden.append((start, end, header))

    def read(self, length: int) -> bytes:
        """Up to `length` bytes, never more, because PyAV copies all of them into FFmpeg's buffer.

        Reads that are larger than the buffer are packets. When opening a file, FFmpeg reads a track's first packet only
        to guess what the index states, so zeros save a round trip.
        """
        if self.failure or not 0 <= self._position < self.end:
            return b""
        try:
            self._reader.check_time()  # even for cached bytes: an index can send FFmpeg in circles
            at = self._position - self.shift
            if self._position < len(self.front):
                piece = self.front[self._position :][:length]
            elif at >= self._reader.size:
                piece = self.back[at - self._reader.size :][:length]
            else:
                piece = self._of_file(at, length)
        except BaseException as failure:
            self.failure = failure
            raise
        self._position += len(piece)
        return piece

    def _of_file(self, at: int, length: int) -> bytes:
        ends = (self._reader.size, *(start for start, _, _ in self._hidden if start > at))
        length = min(length, min(ends) - at)
        piece = self._hidden_bytes(at, length) or self._reader.cached(at, length)
        if not piece and self.opening and length > BUFFER:
            gap, gap_end = next(iter(self._reader.gaps(at, at + length)))
            return bytes(gap_end - gap)
        if not piece:
            on = 0 <= at - self._read_until < (READ_AHEAD if self.onward else 1)
            self._ahead = min(2 * self._ahead, MAX_AHEAD) if on else READ_AHEAD
            exact = length > BUFFER and not self.onward
            self._read_until = at + (length if exact else max(self._ahead, length))
            self._reader.load([(at, self._read_until)])
            piece = self._reader.cached(at, length)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        """As io.IOBase.seek."""
        self._position = offset + (0, self._position, self.end)[whence]
        return self._position

    def tell(self) -> int:
        """The position of the next read."""
        return self._position

    def _hidden_bytes(self, at: int, length: int) -> bytes:
        for start, end, header in self._hidden:
            if start <= at < end:
                length = min(length, end - at, 4096)
                return header[at - start :][:length].ljust(length, b"\0")
        return b""
