"""S3's event notifications, as S3 sends them.

moto's events carry no version and no sequencer, a multipart upload makes two of them, and what goes wrong on
the way to the function is swallowed. Events leave only when the request that caused them has been answered:
moto sends them first and then goes on writing metadata and tags over what the function may have done by then.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote_plus

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.core.utils import iso_8601_datetime_with_milliseconds
from moto.moto_api._internal import mock_random
from moto.s3 import models, notifications
from moto.s3.exceptions import S3ClientError

log = logging.getLogger(__name__)

Deliver = Callable[[str, dict[str, Any]], None]  # the target's ARN, the event

_waiting = threading.local()
_sequence = threading.Lock()
_last_sequencer = 0


class InvalidDestination(S3ClientError):  # type: ignore[misc]  # moto's class is untyped to mypy
    def __init__(self, message: str):
        super().__init__("InvalidArgument", message)


def sequencer() -> str:
    """Grows with every event: hexadecimal, to be compared as text, as S3 documents it."""
    global _last_sequencer
    with _sequence:
        _last_sequencer = max(time.time_ns(), _last_sequencer + 1)
        return f"00{_last_sequencer:016X}"


def record(event_name: str, bucket: Any, key: Any, rule_id: str) -> dict[str, Any]:
    described = {
        # Form encoding with the slashes left alone: "a b/c+d.mp4" → "a+b/c%2Bd.mp4".
        "key": quote_plus(key.name, safe="/"),
        "size": key.size,
        "eTag": key.etag.strip('"'),
        "versionId": key.version_id,
        "sequencer": sequencer(),
    }
    if not bucket.is_versioned:
        del described["versionId"]
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region_name,
        "eventTime": iso_8601_datetime_with_milliseconds(),
        "eventName": event_name.removeprefix("s3:"),
        "userIdentity": {"principalId": f"AWS:{bucket.account_id}"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
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


def _send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
    """Takes the place of moto's function of that name, and puts the event by until `deliver_waiting`."""
    name = event_name.value
    configuration = bucket.notification_configuration
    if configuration is None or (name == "s3:ObjectCreated:Put" and key.multipart is not None):
        return  # moto calls the end of a multipart upload a Put as well; its own event follows
    for rule in [*configuration.cloud_function, *configuration.queue, *configuration.topic]:
        if rule.matches(name, key.name):
            event = {"Records": [record(name, bucket, key, rule.id)]}
            _waiting.__dict__.setdefault("events", []).append((rule.arn, event, bucket))


def deliver_waiting(deliver: Deliver) -> None:
    """Send what this thread's request has caused; a target that is gone is S3's to forget, and ours to log."""
    events, _waiting.events = _waiting.__dict__.get("events", []), []
    for arn, event, bucket in events:
        try:
            if arn.split(":")[2] == "lambda":
                require_permission(arn, bucket)
            deliver(arn, event)
        except Exception:
            log.exception("an event of %s could not be delivered to %s", bucket.name, arn)


def require_permission(function_arn: str, bucket: Any) -> None:
    """S3 invokes a function only if the function's policy says so, and asks when the notification is set."""
    region, account_id = function_arn.split(":")[3:5]
    try:
        statements = get_backend(account_id, region).get_function(function_arn).policy.statements
    except UnknownFunctionException:
        statements = []
    if not any(_allows(statement, bucket) for statement in statements):
        raise InvalidDestination(
            f"Unable to validate the following destination configurations: {bucket.name} may not invoke {function_arn}"
        )


def _allows(statement: dict[str, Any], bucket: Any) -> bool:
    if statement["Effect"] != "Allow" or statement["Principal"] != {"Service": "s3.amazonaws.com"}:
        return False
    wanted = {key.lower(): value for test in statement.get("Condition", {}).values() for key, value in test.items()}
    return (
        statement["Action"] in ("lambda:InvokeFunction", "lambda:*")
        and fnmatchcase(bucket.arn, wanted.get("aws:sourcearn", "*"))
        and wanted.get("aws:sourceaccount", bucket.account_id) == bucket.account_id
    )


def _set_notification_configuration(self: Any, wanted: dict[str, Any] | None) -> None:
    before = self.notification_configuration
    _plain_set(self, wanted)
    try:
        if self.notification_configuration is not None:
            rules = self.notification_configuration.cloud_function
            for rule in rules:
                require_permission(rule.arn, self)
            _refuse_overlaps([*rules, *self.notification_configuration.queue, *self.notification_configuration.topic])
    except InvalidDestination:
        self.notification_configuration = before
        raise


def _refuse_overlaps(rules: list[Any]) -> None:
    """Two rules that one upload could match are an error on S3."""
    for one, other in itertools.combinations(rules, 2):
        events = any(fnmatchcase(a, b) or fnmatchcase(b, a) for a in one.events for b in other.events)
        (prefix, suffix), (other_prefix, other_suffix) = _edges(one), _edges(other)
        starts = prefix.startswith(other_prefix) or other_prefix.startswith(prefix)
        if events and starts and (suffix.endswith(other_suffix) or other_suffix.endswith(suffix)):
            raise InvalidDestination("Configurations overlap. Configurations on the same bucket cannot share an event.")


def _edges(rule: Any) -> tuple[str, str]:
    filters = {f["Name"].lower(): f["Value"] for f in rule.filters.get("S3Key", {}).get("FilterRule", [])}
    return filters.get("prefix", ""), filters.get("suffix", "")


_plain_set = models.FakeBucket.set_notification_configuration


def _key_matches(self: Any, key_name: str) -> bool:
    prefix, suffix = _edges(self)
    return key_name.startswith(prefix) and key_name.endswith(suffix)


def install() -> None:
    notifications.send_event = _send_event
    models.FakeBucket.set_notification_configuration = _set_notification_configuration
    models.Notification._key_matches = _key_matches
