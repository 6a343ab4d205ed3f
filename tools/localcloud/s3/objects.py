"""S3's object operations: streaming reads, one writer at a time, and checks that moto omits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.iam import access_control
from moto.s3 import models, responses

from tools.localcloud.s3.stored import StoredKey, complete, lazily

# This endpoint represents an HTTPS one, and does not know the principal
NOT_JUDGED_HERE = ("aws:SecureTransport", "s3:TlsVersion", "aws:PrincipalArn")


def _reading_lazily(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        token = lazily.set(True)
        try:
            return function(*args, **kwargs)
        finally:
            lazily.reset(token)

    wrapped.__name__ = function.__name__
    return wrapped


def _one_at_a_time(lock: contextlib.AbstractContextManager[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return function(*args, **kwargs)

    wrapped.__name__ = function.__name__
    return wrapped


def _with_checksum_kind(copy: Callable[..., Any]) -> Callable[..., Any]:
    """moto copies a composite checksum as a regular one, so clients refuse the copy's content."""

    def copy_object(self: Any, source: Any, bucket: str, key: str, *args: Any, **more: Any) -> None:
        copy(self, source, bucket, key, *args, **more)
        copied = self.get_object(bucket, key)
        copied.checksum_type, copied.checksum_parts = source.checksum_type, source.checksum_parts

    return copy_object


def _permission(self: Any, action: str, resource: str) -> Any:
    """moto treats conditions that it cannot evaluate as true, and so refuses everything under an HTTPS-only policy.
    Conditions on transport or principal are omitted; moto evaluates the rest of the policy."""
    if self.policy is None:
        return access_control.PermissionResult.NEUTRAL
    policy = access_control.json.loads(self.policy)
    policy["Statement"] = [
        statement
        for statement in policy["Statement"]
        if not any(key in NOT_JUDGED_HERE for test in statement.get("Condition", {}).values() for key in test)
    ]
    return access_control.IAMPolicy(access_control.json.dumps(policy)).is_action_permitted(action, resource)


def _asking_whose(head_bucket: Any) -> Any:
    """moto ignores ExpectedBucketOwner, with which callers make sure that a bucket is not someone else's."""

    def asked(self: Any) -> Any:
        expected = self.headers.get("x-amz-expected-bucket-owner")
        _, owner = models.s3_backends.bucket_accounts.get(self.bucket_name, ("", expected))
        return head_bucket(self) if expected in (None, owner) else (403, {}, "")

    return asked


def install(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    StoredKey.folder = folder
    models.FakeKey = StoredKey
    models.FakeMultipart.complete = complete
    models.FakeBucket.get_permission = _permission
    responses.S3Response.head_bucket = _asking_whose(responses.S3Response.head_bucket)
    responses.S3Response.get_object = _reading_lazily(responses.S3Response.get_object)
    models.S3Backend.copy_object = _with_checksum_kind(models.S3Backend.copy_object)
    for name in ("copy_object", "upload_part_copy"):
        setattr(models.S3Backend, name, _reading_lazily(getattr(models.S3Backend, name)))
    lock = threading.RLock()  # moto's versions are a list that concurrent uploads may replace
    for name in ("put_object", "delete_object", "put_object_tagging", "get_object", "list_objects", "list_objects_v2",
                 "list_object_versions"):  # fmt: skip
        setattr(models.S3Backend, name, _one_at_a_time(lock, getattr(models.S3Backend, name)))
