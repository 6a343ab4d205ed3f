"""The versions in the buckets of a stack, and whether the pipeline has done with them.

A bucket is walked by ListObjectVersions, a page of 1,000 at a time and never more in memory; where it has no versions,
that lists each object as version "null". Whether a version has its result is asked of S3 version by version, by
HeadObject: $0.40 for a million, compared with some $20 that processing a million costs. Merging the walk with a listing
of results/ would cost a cent instead, but keys sort differently there ("a.mp4 (1).mp4" before "a.mp4/"), long ones are
cut, and with --since it would list a million to look for a few.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from botocore.exceptions import ClientError

from scripts.stack import Source, WrongUse
from video_intake.uploads import RERUN, SUFFIXES, Upload, Version, folder, stored

type Marker = dict[str, str]  # a bucket, and the arguments of ListObjectVersions that go on where a page ended


@dataclass(frozen=True)
class Selection:
    """Which versions of the buckets are meant."""

    prefix: str = ""
    since: datetime | None = None
    until: datetime | None = None
    newest_only: bool = False

    def __contains__(self, version: dict[str, Any]) -> bool:
        # By its suffix, as S3 announces them: so nothing of ours is taken for a video, and results/x.mp4 of a user is.
        return (
            version["Key"].endswith(SUFFIXES)
            and (self.since is None or version["LastModified"] >= self.since)
            and (self.until is None or version["LastModified"] < self.until)
            and (version["IsLatest"] or not self.newest_only)
        )

    def prefix_in(self, source: Source) -> str | None:
        """What the keys meant begin with in a bucket; None where none are meant."""
        longer, shorter = sorted((self.prefix, source.prefix), key=len, reverse=True)
        return longer if longer.startswith(shorter) else None


def pages(s3: Any, sources: list[Source], selection: Selection, start: Marker) -> Iterator[tuple[list[Upload], Marker]]:
    """The chosen versions of one page after another, each with the marker of what comes after it."""
    marker = dict(start)
    begin = marker.pop("Bucket", sources[0].bucket)
    for source in dropwhile(lambda each: each.bucket != begin, sources):
        if (prefix := selection.prefix_in(source)) is not None:
            for page in _pages(s3, source.bucket, prefix, marker):
                after = {name: page.get(f"Next{name}", "") for name in ("KeyMarker", "VersionIdMarker")}
                chosen = [version for version in page.get("Versions", []) if version in selection]
                found = [stored(Version(source.bucket, one["Key"], one["VersionId"]), one) for one in chosen]
                yield found, {"Bucket": source.bucket} | after
        marker = {}


def _pages(s3: Any, bucket: str, prefix: str, marker: Marker) -> Iterator[dict[str, Any]]:
    while True:
        page = s3.list_object_versions(Bucket=bucket, Prefix=prefix, **marker)
        yield page
        if not page["IsTruncated"]:
            return
        marker = {name: page[f"Next{name}"] for name in ("KeyMarker", "VersionIdMarker")}


def find(s3: Any, bucket: str, key: str, version_id: str) -> Upload:
    """One version of an object, the newest where none is named. Raises botocore's errors, also where there is none."""
    head = s3.head_object(Bucket=bucket, Key=key, **({"VersionId": version_id} if version_id else {}))
    return stored(Version(bucket, key, version_id), head)


def has_result(s3: Any, home: str, upload: Upload) -> bool:
    """Results are in the bucket `home`, whatever bucket an upload is in."""
    try:
        s3.head_object(Bucket=home, Key=folder(upload, home) + "result.json")
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return False
        raise
    return True


def event(upload: Upload) -> dict[str, Any]:
    """What S3 sends of an upload, and what uploads.parse makes the upload of."""
    entity = {
        "key": quote_plus(upload.key, safe="/"),
        "size": upload.size,
        "eTag": upload.etag,
        "versionId": upload.version_id,
    }
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": upload.event_time,
        "s3": {"bucket": {"name": upload.bucket}, "object": entity},
    }
    return {"Records": [record | ({RERUN: upload.rerun} if upload.rerun else {})]}


class Bookmark:
    """Where an interrupted walk continues: a file that is written after each page without a failure."""

    def __init__(self, path: Path | None, walk: str) -> None:
        self._path, self._walk = path, walk  # a bookmark of another walk would skip what was never looked at

    def read(self) -> Marker:
        """Raises WrongUse for a bookmark of another walk."""
        if self._path is None or not self._path.exists():
            return {}
        kept = json.loads(self._path.read_text())
        if kept["walk"] != self._walk:
            raise WrongUse(f"{self._path} belongs to a run with other options: {kept['walk']}")
        marker: Marker = kept["marker"]
        return marker

    def write(self, marker: Marker) -> None:
        if self._path is not None:
            beside = self._path.with_name(self._path.name + ".new")
            beside.write_text(json.dumps({"walk": self._walk, "marker": marker}))
            beside.replace(self._path)

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
