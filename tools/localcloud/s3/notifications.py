"""S3's announcements on their way: to the functions and queues of a bucket's configuration, and to EventBridge.

moto's events carry no version and no sequencer, a multipart upload makes two of them, and what goes wrong on the way to
the function is swallowed. Announcements leave only when the request that caused them has been answered: moto sends them
first and then goes on writing metadata and tags over what the function may have done by then.
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
    """An announcement; without a target it is EventBridge's."""

    name: str
    bucket: Any
    key: Any
    target: str
    content: dict[str, Any]


def _send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
    """Takes the place of moto's function of that name, and puts the announcement aside until `deliver_waiting`."""
    name, configuration = event_name.value, bucket.notification_configuration
    if configuration is None or (name == "s3:ObjectCreated:Put" and key.multipart is not None):
        return  # moto calls the end of a multipart upload a Put as well; its own event follows
    waiting: list[Waiting] = _here.__dict__.setdefault("waiting", [])
    for rule in [*configuration.cloud_function, *configuration.queue]:
        if rule.matches(name, key.name):
            waiting.append(Waiting(name, bucket, key, rule.arn, notification(name, bucket, key, rule.id)))
    if configuration.event_bridge is not None and (content := event(name, bucket, key)):
        waiting.append(Waiting(name, bucket, key, "", content))


def deliver_waiting(
    deliver: Callable[[str, Any, dict[str, Any]], None], publish: Callable[[dict[str, Any]], None]
) -> None:
    """Sends what this thread's request has caused. `deliver` takes the target's ARN, the bucket and the event.

    A target that is gone is S3's to forget, and ours to log.
    """
    waiting, _here.waiting = _here.__dict__.get("waiting", []), []
    created = {id(one.key) for one in waiting if one.name in CREATED}
    for one in waiting:
        if one.name == TAGGED and id(one.key) in created:
            continue  # moto takes the tags that an object is created with for a separate request
        try:
            if one.target:
                deliver(one.target, one.bucket, one.content)
            else:
                publish(one.content)
        except Exception:
            log.exception("an event of %s could not be delivered to %s", one.bucket.name, one.target or "EventBridge")


def install() -> None:
    notifications.send_event = _send_event
