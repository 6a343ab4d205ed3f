"""Stores the content of S3's objects in files: moto keeps a whole object in memory for every request.

A gigabyte arrives in parts, is joined by copying, and is read in ranges, with at most a part or a block in memory.
Small objects (results, most posters) are stored as in moto.
"""

from __future__ import annotations

import codecs
import contextvars
import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto.s3 import models
from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML

BLOCK = 1 << 20  # bytes in memory per read
SMALL = 256 << 10  # up to this size, an object is not stored in a file

lazily = contextvars.ContextVar("lazily", default=False)  # whether `value` may be a StoredBytes


class StoredBytes:
    """A range of a file that behaves like bytes in moto's responses: it has a length, can be sliced, and is sent in
    blocks. The open file outlives the object's deletion, like a running download from S3."""

    def __init__(self, path: Path, start: int = 0, length: int | None = None, descriptor: int | None = None):
        self.path, self.start = path, start
        self._descriptor = os.open(path, os.O_RDONLY) if descriptor is None else os.dup(descriptor)
        self.length = os.fstat(self._descriptor).st_size if length is None else length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, cut: slice) -> StoredBytes:
        begin, end, _ = cut.indices(self.length)
        return StoredBytes(self.path, self.start + begin, max(end - begin, 0), self._descriptor)

    def __iter__(self) -> Iterator[bytes]:
        at, end = self.start, self.start + self.length
        while at < end:
            block = os.pread(self._descriptor, min(BLOCK, end - at), at)
            yield block
            at += len(block)

    def __bytes__(self) -> bytes:
        return os.pread(self._descriptor, self.length, self.start)

    def __del__(self) -> None:
        os.close(self._descriptor)


class StoredKey(models.FakeKey):  # type: ignore[misc]  # moto's class is untyped to mypy
    """moto's object, with its content in a file unless it is small."""

    folder: Path
    _numbers = itertools.count(1)
    _etag: str | None
    path: Path | None = None

    @property
    def value(self) -> Any:
        if self.path is None:
            with self.lock:
                self._value_buffer.seek(0)
                return self._value_buffer.read()
        stored = StoredBytes(self.path)
        return stored if lazily.get() else bytes(stored)

    @value.setter
    def value(self, new: bytes | StoredBytes | Joined) -> None:
        self.contentsize = len(new)
        if isinstance(new, Joined):
            self.path = new.path
        elif len(new) <= SMALL:
            content = bytes(new)
            self._value_buffer.seek(0)
            self._value_buffer.truncate()
            self._value_buffer.write(content)
            self._etag = self._etag or hashlib.md5(content).hexdigest()
        else:
            self.path = self.folder / f"{next(self._numbers):06d}"
            digest = hashlib.md5()
            with self.path.open("wb") as file:
                for block in [new] if isinstance(new, bytes) else new:
                    digest.update(block)
                    file.write(block)
            self._etag = self._etag or digest.hexdigest()

    @property
    def etag(self) -> str:
        return f'"{self._etag}"'

    def dispose(self, garbage: bool = False) -> None:
        self._value_buffer.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.disposed = True

    def __deepcopy__(self, memo: dict[int, Any]) -> Listed:
        """moto copies every object of a bucket, including its content, to list versions."""
        listed = object.__new__(Listed)
        listed.__dict__.update(self.__dict__)
        return listed


class Listed(StoredKey):
    """An object in a listing, which uses the content of the real one and must not delete it."""

    def dispose(self, garbage: bool = False) -> None:
        pass


class Joined:
    """The file of a multipart upload, which the object takes over instead of copying it again."""

    def __init__(self, path: Path):
        self.path = path

    def __len__(self) -> int:
        return self.path.stat().st_size


def complete(self: Any, body: Iterator[tuple[int, str]]) -> tuple[Joined, str, tuple[str, str, int] | None]:
    """Joins the parts by copying, and deletes each one after that. Only composite checksums are kept, because one of
    the whole object would require reading a gigabyte again."""
    chosen = list(body)
    if not chosen:
        raise MalformedXML
    for number, etag in chosen:
        if number not in self.parts or self.parts[number].etag.strip('"') != etag.strip('"'):
            raise InvalidPart()
    if any(self.parts[number].size < models.S3_UPLOAD_PART_MIN_SIZE for number, _ in chosen[:-1]):
        raise EntityTooSmall()
    digests, checksums = b"", b""
    algorithm = self.metadata.get("x-amz-checksum-algorithm")
    composite = algorithm in ("CRC32", "SHA1", "SHA256") and self.metadata.get("x-amz-checksum-type") != "FULL_OBJECT"
    path = StoredKey.folder / f"{next(StoredKey._numbers):06d}"
    with path.open("wb") as file:
        for number, _ in chosen:
            content = self.parts[number].value
            file.write(content)
            digests += codecs.decode(self.parts[number].etag.strip('"'), "hex")
            if composite:
                checksums += models.compute_checksum(content, algorithm, encode_base64=False)
            self.parts[number].dispose()
    for part in self.parts.values():
        part.dispose()
    built = ("COMPOSITE", models.compute_checksum(checksums, algorithm).decode(), len(chosen)) if composite else None
    return Joined(path), f"{hashlib.md5(digests).hexdigest()}-{len(chosen)}", built
