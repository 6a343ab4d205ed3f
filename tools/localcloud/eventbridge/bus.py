"""The default event bus: delivers events to the targets of matching rules, or to their dead-letter queues.

moto triggers disabled rules, raises an exception for function targets, and neither retries nor keeps events that it
cannot deliver. There are no retries here either, because EventBridge does not retry if a permission or target is
missing. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

from __future__ import annotations

import json
import logging
from typing import Any

from moto.events import models
from moto.events.exceptions import InvalidEventPatternException, ValidationException
from moto.sqs.models import sqs_backends

from tools.localcloud import keys
from tools.localcloud.account import ACCOUNT_ID, Account
from tools.localcloud.eventbridge import patterns
from tools.localcloud.lambdas.functions import Lambdas
from tools.localcloud.policies import admits

log = logging.getLogger(__name__)

SERVICE = "events.amazonaws.com"
TARGET_SETTINGS = {"Id", "Arn", "DeadLetterConfig", "RetryPolicy"}


class Undeliverable(Exception):
    """Why an event cannot reach a target, with EventBridge's code for it."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class Bus:
    def __init__(self, account: Account, lambdas: Lambdas):
        self._account, self._lambdas = account, lambdas

    def publish(self, event: dict[str, Any]) -> None:
        """Delivers an event to each target of each matching enabled rule in its Region."""
        for rule in list(models.events_backends[ACCOUNT_ID][event["region"]].event_buses["default"].rules.values()):
            if rule.state == "ENABLED" and patterns.matches(rule.event_pattern.get_pattern(), event):
                for target in list(rule.targets):
                    self._send(rule.arn, target, event)

    def _send(self, rule_arn: str, target: dict[str, Any], event: dict[str, Any]) -> None:
        try:
            self._require_permission(rule_arn, target["Arn"])
            self._lambdas.deliver(target["Arn"], event)
        except Undeliverable as reason:
            log.warning("an event of %s could not be delivered to %s: %s", rule_arn, target["Arn"], reason)
            self._keep(rule_arn, target, event, reason)

    def _require_permission(self, rule_arn: str, target_arn: str) -> None:
        """Raises Undeliverable."""
        if target_arn.split(":")[2] == "sqs":
            self._require_queue(rule_arn, target_arn)
            return
        policy = self._lambdas.policy(target_arn)
        if policy is None:
            raise Undeliverable("NO_RESOURCE", f"There is no function {target_arn}.")
        if not admits(policy, SERVICE, "lambda:InvokeFunction", target_arn, rule_arn, ACCOUNT_ID):
            raise Undeliverable("NO_PERMISSIONS", f"The policy of {target_arn} does not let {rule_arn} invoke it.")

    def _require_queue(self, rule_arn: str, queue_arn: str) -> None:
        """Raises Undeliverable."""
        queue = sqs_backends[ACCOUNT_ID][queue_arn.split(":")[3]].queues.get(queue_arn.rpartition(":")[2])
        if queue is None:
            raise Undeliverable("NO_RESOURCE", f"There is no queue {queue_arn}.")
        policy = json.loads(queue.policy or '{"Statement": []}')
        if not admits(policy, SERVICE, "sqs:SendMessage", queue_arn, rule_arn, ACCOUNT_ID):
            raise Undeliverable("NO_PERMISSIONS", f"The policy of {queue_arn} does not let {rule_arn} send to it.")
        context = {"aws:SourceArn": rule_arn, "aws:SourceAccount": ACCOUNT_ID}
        if queue.kms_master_key_id and not keys.admits(queue.kms_master_key_id, SERVICE, keys.TO_PUBLISH, context):
            raise Undeliverable("NO_PERMISSIONS", f"The key of {queue_arn} does not let {SERVICE} use it.")

    def _keep(self, rule_arn: str, target: dict[str, Any], event: dict[str, Any], reason: Undeliverable) -> None:
        """Sends the event to the target's dead-letter queue, if it has one with the required permission."""
        queue_arn = target.get("DeadLetterConfig", {}).get("Arn")
        if not queue_arn:
            return
        try:
            self._require_queue(rule_arn, queue_arn)
        except Undeliverable as another:
            log.error("an event of %s is lost: %s", rule_arn, another)
            return
        told = {
            "RULE_ARN": rule_arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": reason.code,
            "ERROR_MESSAGE": str(reason),
            "RETRY_ATTEMPTS": "0",
        }
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
        sqs = self._account.client("sqs", queue_arn.split(":")[3])
        url = sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event), MessageAttributes=attributes)


def install() -> None:
    """Lets moto store rules and targets, but refuses those that would behave differently from EventBridge."""
    plain_rule, plain_targets = models.EventsBackend.put_rule, models.EventsBackend.put_targets

    def put_rule(self: Any, name: str, **settings: Any) -> Any:
        unknown = [key for key in ("scheduled_expression", "role_arn") if settings.get(key)]
        if unknown or settings.get("event_bus_arn") not in (None, "default"):
            raise ValidationException(f"The local cloud only supports rules with patterns on the default bus: {name}")
        text = settings["event_pattern"] or "{}"
        if len(text) > patterns.MAX_LENGTH:
            raise InvalidEventPatternException(f"it has {len(text)} characters, more than {patterns.MAX_LENGTH}")
        try:
            patterns.check(json.loads(text))
        except ValueError as error:  # including JSON syntax
            raise InvalidEventPatternException(str(error)) from error
        return plain_rule(self, name, **settings)

    def put_targets(self: Any, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            if unknown := target.keys() - TARGET_SETTINGS:
                raise ValidationException(f"The local cloud does not support {sorted(unknown)} of a target")
            if target["Arn"].split(":")[2] not in ("lambda", "sqs"):
                raise ValidationException(f"The local cloud cannot deliver events to {target['Arn']}")
        plain_targets(self, name, event_bus_arn, targets)

    def put_events(self: Any, events: Any) -> Any:
        raise ValidationException("The local cloud accepts only events from its services")

    models.EventsBackend.put_rule = put_rule
    models.EventsBackend.put_targets = put_targets
    models.EventsBackend.put_events = put_events
