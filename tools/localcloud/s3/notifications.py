"""Delivers S3's events to the functions and queues in a bucket's configuration, and to EventBridge.

moto's events have no version or sequencer, a multipart upload causes two of them, and delivery errors are ignored. Here
events are sent after the response to the request that caused them: moto sends them first, and then overwrites metadata
and tags that the function may have changed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.s3 import notifications

from tools.localcloud.s3.announcements import CREATED, TAGGED, event, notification

log = logging.getLogger(__name__)

Deliver = Callable[[str, Any, dict[str, Any]], None]
Publish = Callable[[dict[str, Any]], None]

_here = threading.local()


@dataclass(frozen=True)
class Waiting:
    """An event to deliver; without a target, it is for EventBridge."""

    name: str
    bucket: Any
    key: Any
    target: str
    content: dict[str, Any]


def _send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
    """Replaces moto's function of that name, and keeps the event until `deliver_waiting`."""
    name, configuration = event_name.value, bucket.notification_configuration
    if configuration is None or (name == "s3:ObjectCreated:Put" and key.multipart is not None):
        return  # moto also treats the end of a multipart upload as a Put; its own event follows
    waiting: list[Waiting] = _here.__dict__.setdefault("waiting", [])
    for rule in [*configuration.cloud_function, *configuration.queue]:
        if rule.matches(name, key.name):
            waiting.append(Waiting(name, bucket, key, rule.arn, notification(name, bucket, key, rule.id)))
    if configuration.event_bridge is not None and (content := event(name, bucket, key)):
        waiting.append(Waiting(name, bucket, key, "", content))


def deliver_waiting(
    deliver: Callable[[str, Any, dict[str, Any]], None], publish: Callable[[dict[str, Any]], None]
) -> None:
    """Sends the events of this thread's request. `deliver` takes the target's ARN, the bucket and the event.

    If a target no longer exists, S3 drops the event; here that is logged.
    """
    waiting, _here.waiting = _here.__dict__.get("waiting", []), []
    created = {id(one.key) for one in waiting if one.name in CREATED}
    for one in waiting:
        if one.name == TAGGED and id(one.key) in created:
            continue  # moto treats the tags of a new object as a separate request
        try:
            if one.target:
                deliver(one.target, one.bucket, one.content)
            else:
                publish(one.content)
        except Exception:
            log.exception("an event of %s could not be delivered to %s", one.bucket.name, one.target or "EventBridge")


def install() -> None:
    notifications.send_event = _send_event
