"""S3's events about an object: the notification format and the EventBridge format.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from moto.core.utils import iso_8601_datetime_with_milliseconds
from moto.moto_api._internal import mock_random

ADDRESS = "127.0.0.1"
CREATED = {  # event → the API that created the object
    "s3:ObjectCreated:Put": "PutObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
}
DELETED = "s3:ObjectRemoved:Delete"
TAGGED = "s3:ObjectTagging:Put"
CHANGED = {
    TAGGED: "Object Tags Added",
    "s3:ObjectTagging:Delete": "Object Tags Deleted",
    "s3:ObjectAcl:Put": "Object ACL Updated",
}

_sequence = threading.Lock()
_last_sequencer = 0


def sequencer() -> str:
    """A hexadecimal number that grows with every event and is compared as text, as S3 documents."""
    global _last_sequencer
    with _sequence:
        _last_sequencer = max(time.time_ns(), _last_sequencer + 1)
        return f"00{_last_sequencer:016X}"


def notification(event_name: str, bucket: Any, key: Any, rule_id: str) -> dict[str, Any]:
    """The event for a function or a queue in the bucket's configuration."""
    described = {
        # Form encoding with the slashes left alone: "a b/c+d.txt" → "a+b/c%2Bd.txt".
        "key": quote_plus(key.name, safe="/"),
        "size": key.size,
        "eTag": key.etag.strip('"'),
        "sequencer": sequencer(),
    }
    if bucket.versioning_status == "Enabled":
        described["versionId"] = key.version_id
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region_name,
        "eventTime": iso_8601_datetime_with_milliseconds(),
        "eventName": event_name.removeprefix("s3:"),
        "userIdentity": {"principalId": f"AWS:{bucket.account_id}"},
        "requestParameters": {"sourceIPAddress": ADDRESS},
        "responseElements": {
            "x-amz-request-id": mock_random.get_random_hex(16).upper(),
            "x-amz-id-2": mock_random.get_random_hex(64),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": rule_id,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": {"principalId": bucket.account_id},
                "arn": bucket.arn,
            },
            "object": described,
        },
    }
    return {"Records": [record]}


def event(event_name: str, bucket: Any, key: Any) -> dict[str, Any] | None:
    """The event for EventBridge; None for unsupported ones (restores, moves between storage classes).

    The key is not encoded, and there is no version if the bucket never had versioning.
    """
    described, more = {"key": key.name}, {}
    if bucket.versioning_status:
        described["version-id"] = key.version_id if bucket.versioning_status == "Enabled" else "null"
    if event_name in CREATED:
        kind, more = "Object Created", {"reason": CREATED[event_name]}
        described |= {"size": key.size, "etag": key.etag.strip('"'), "sequencer": sequencer()}
    elif event_name == DELETED:
        kind, more = "Object Deleted", {"reason": "DeleteObject", "deletion-type": "Permanently Deleted"}
        described |= {"sequencer": sequencer()}
    elif event_name in CHANGED:
        kind = CHANGED[event_name]
        described |= {"etag": key.etag.strip('"')}
    else:
        return None
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": "aws.s3",
        "account": bucket.account_id,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": {
            "version": "0",
            "event-version": "1.1",
            "bucket": {"name": bucket.name},
            "object": described,
            "request-id": mock_random.get_random_hex(16).upper(),
            "requester": bucket.account_id,
            "source-ip-address": ADDRESS,
            **more,
        },
    }
