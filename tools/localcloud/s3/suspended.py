"""Suspended versioning: older versions are kept, and every new one replaces version `null`.

moto treats such a bucket as if it never had versioning, and so loses its versions.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/VersionSuspendedBehavior.html
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from moto.s3 import models, responses

NULL = "null"

_as_versioned = contextvars.ContextVar("_as_versioned", default=False)


def _versioned(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = _as_versioned.set(True)
    try:
        return function(*args, **kwargs)
    finally:
        _as_versioned.reset(token)


def _make_null(bucket: Any, key_name: str) -> None:
    """Makes the newest version `null`, replacing the previous one."""
    *older, new = bucket.keys.getlist(key_name)
    new._version_id = NULL
    bucket.keys.setlist(key_name, [*(one for one in older if one.version_id != NULL), new])


def install() -> None:
    """Must be called before the locks of `objects` are installed, which these calls need."""
    plain_put, plain_delete = models.S3Backend.put_object, models.S3Backend.delete_object
    plain_head = responses.S3Response.head_object

    def put_object(self: Any, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> Any:
        bucket = self.get_bucket(bucket_name)
        if bucket.versioning_status != "Suspended":
            return plain_put(self, bucket_name, key_name, *args, **kwargs)
        key = _versioned(plain_put, self, bucket_name, key_name, *args, **kwargs)
        _make_null(bucket, key_name)
        return key

    def delete_object(
        self: Any, bucket_name: str, key_name: str, version_id: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        bucket = self.get_bucket(bucket_name)
        if bucket.versioning_status != "Suspended":
            return plain_delete(self, bucket_name, key_name, version_id, *args, **kwargs)
        done, told = _versioned(plain_delete, self, bucket_name, key_name, version_id, *args, **kwargs)
        if done and version_id is None:
            _make_null(bucket, key_name)
            told["version-id"] = NULL
        return done, told

    def head_object(self: Any, *args: Any, **kwargs: Any) -> Any:
        """moto refuses version `null` in a bucket that it treats as unversioned."""
        return _versioned(plain_head, self, *args, **kwargs)

    models.FakeBucket.is_versioned = property(
        lambda bucket: bucket.versioning_status == "Enabled" or _as_versioned.get()
    )
    models.S3Backend.put_object = put_object
    models.S3Backend.delete_object = delete_object
    responses.S3Response.head_object = head_object
