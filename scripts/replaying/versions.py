"""Lists the versions in a stack's buckets, and checks which have a result.

ListObjectVersions returns pages of 1,000, one of which is in memory; without versioning, it lists objects as version
"null". HeadObject checks each result: $0.40 for a million versions, compared with about $20 to process them. Merging
with a listing of results/ would cost a cent, but keys sort differently there ("a.mp4 (1).mp4" before "a.mp4/"), long
ones are shortened, and --since would list a million to find a few.
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

type Marker = dict[str, str]  # a bucket, and the arguments of ListObjectVersions for the next page


@dataclass(frozen=True)
class Selection:
    """Which versions to process."""

    prefix: str = ""
    since: datetime | None = None
    until: datetime | None = None
    newest_only: bool = False

    def __contains__(self, version: dict[str, Any]) -> bool:
        # By suffix, like S3's notifications: that excludes our results, but not a user's results/x.mp4.
        return (
            version["Key"].endswith(SUFFIXES)
            and (self.since is None or version["LastModified"] >= self.since)
            and (self.until is None or version["LastModified"] < self.until)
            and (version["IsLatest"] or not self.newest_only)
        )

    def prefix_in(self, source: Source) -> str | None:
        """The prefix of the selected keys in a bucket; None if none are selected."""
        shorter, longer = sorted((self.prefix, source.prefix))  # a string follows its prefixes
        return longer if longer.startswith(shorter) else None


def pages(s3: Any, sources: list[Source], selection: Selection, start: Marker) -> Iterator[tuple[list[Upload], Marker]]:
    """Yields the selected versions of each page, with the marker of the next page."""
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
    """One version of an object, by default the newest. Raises botocore's errors, including 404."""
    head = s3.head_object(Bucket=bucket, Key=key, **({"VersionId": version_id} if version_id else {}))
    return stored(Version(bucket, key, version_id), head)


def has_result(s3: Any, home: str, upload: Upload) -> bool:
    """Whether there is a result in the bucket `home`, for an upload in any bucket."""
    try:
        s3.head_object(Bucket=home, Key=folder(upload, home) + "result.json")
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return False
        raise
    return True


def event(upload: Upload) -> dict[str, Any]:
    """The event that S3 would send for an upload."""
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
    """The position of an interrupted run, in a file that is written after each page without a failure."""

    def __init__(self, path: Path | None, walk: str) -> None:
        self._path, self._walk = path, walk  # the options; with others, it would skip versions

    def read(self) -> Marker:
        """Raises WrongUse for a bookmark of a run with other options."""
        if self._path is None or not self._path.exists():
            return {}
        kept = json.loads(self._path.read_text())
        if kept["walk"] != self._walk:
            raise WrongUse(f"{self._path} belongs to a run with other options: {kept['walk']}")
        marker: Marker = kept["marker"]
        return marker

    def write(self, marker: Marker) -> None:
        if self._path is not None:
            unfinished = self._path.with_name(self._path.name + ".new")
            unfinished.write_text(json.dumps({"walk": self._walk, "marker": marker}))
            unfinished.replace(self._path)

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
