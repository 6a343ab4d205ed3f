"""A bucket's notification configuration: replaced entirely, validated as in S3, and returned as it was set."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from moto.core.responses import ActionResult
from moto.s3 import models, responses
from moto.s3.exceptions import S3ClientError

from tools.localcloud.policies import admits

Policy = Callable[[str], dict[str, Any] | None]  # of a function, by its ARN


class InvalidDestination(S3ClientError):  # type: ignore[misc]  # moto's class is untyped to mypy
    def __init__(self, message: str):
        super().__init__("InvalidArgument", message)


def require_permission(policy_of: Policy, function_arn: str, bucket: Any) -> None:
    """Checks that the function's policy allows S3 to invoke it, as S3 does when the notification is set."""
    policy = policy_of(function_arn) or {"Statement": []}
    action = "lambda:InvokeFunction"
    if not admits(policy, "s3.amazonaws.com", action, function_arn, bucket.arn, bucket.account_id):
        raise InvalidDestination(
            f"Unable to validate the following destination configurations: {bucket.name} may not invoke {function_arn}"
        )


def _refuse_overlaps(rules: list[Any]) -> None:
    """Refuses two rules that the same upload could match, as S3 does."""
    for one, other in itertools.combinations(rules, 2):
        events = any(fnmatchcase(a, b) or fnmatchcase(b, a) for a in one.events for b in other.events)
        (prefix, suffix), (other_prefix, other_suffix) = _edges(one), _edges(other)
        starts = prefix.startswith(other_prefix) or other_prefix.startswith(prefix)
        if events and starts and (suffix.endswith(other_suffix) or other_suffix.endswith(suffix)):
            raise InvalidDestination("Configurations overlap. Configurations on the same bucket cannot share an event.")


def _edges(rule: Any) -> tuple[str, str]:
    filters = {f["Name"].lower(): f["Value"] for f in rule.filters.get("S3Key", {}).get("FilterRule", [])}
    return filters.get("prefix", ""), filters.get("suffix", "")


def _key_matches(self: Any, key_name: str) -> bool:
    prefix, suffix = _edges(self)
    return key_name.startswith(prefix) and key_name.endswith(suffix)


def install(policy_of: Policy) -> None:
    plain_set = models.FakeBucket.set_notification_configuration
    plain_get = responses.S3Response.get_bucket_notification
    plain_body = responses.S3Response._notification_config_from_body

    def set_configuration(self: Any, wanted: dict[str, Any] | None) -> None:
        before = self.notification_configuration
        plain_set(self, wanted)
        configuration = self.notification_configuration
        if configuration is None:
            return
        try:
            if configuration.topic:
                raise InvalidDestination("The local cloud does not notify topics")
            for rule in configuration.cloud_function:
                require_permission(policy_of, rule.arn, self)
            _refuse_overlaps([*configuration.cloud_function, *configuration.queue])
        except InvalidDestination:
            self.notification_configuration = before
            raise

    def get_configuration(self: Any) -> Any:
        """The configuration with EventBridge, which moto omits, so that callers who read, add and write would turn it
        off; and with `Prefix` instead of `prefix`, as in S3's response."""
        plain_serialized = self.serialized

        def serialized(result: ActionResult) -> Any:
            configuration = self.backend.get_bucket_notification_configuration(self.bucket_name)
            bridge: dict[str, Any] = {} if configuration.event_bridge is None else {"EventBridgeConfiguration": {}}
            for rule in itertools.chain(*result.result.values()):
                named = rule.get("Filter", {}).get("Key", {}).get("FilterRules", [])
                rule |= {"Filter": {"Key": {"FilterRules": [one | {"Name": one["Name"].title()} for one in named]}}}
            return plain_serialized(ActionResult(result.result | bridge))

        if self.backend.get_bucket_notification_configuration(self.bucket_name):
            self.serialized = serialized
        return plain_get(self)

    def from_body(self: Any) -> Any:
        """S3 accepts its own responses; moto requires lowercase."""
        self.body = re.sub(r"<Name>(Prefix|Suffix)</Name>", lambda found: found[0].lower().replace("name", "Name"),
                           self.body if isinstance(self.body, str) else self.body.decode())  # fmt: skip
        return plain_body(self)

    models.FakeBucket.set_notification_configuration = set_configuration
    models.Notification._key_matches = _key_matches
    responses.S3Response.get_bucket_notification = get_configuration
    responses.S3Response._notification_config_from_body = from_body
