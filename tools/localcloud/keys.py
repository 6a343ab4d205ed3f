"""Simulates the effects of KMS key policies on services, and adds key associations that moto lacks.

Nothing is encrypted here. But as on AWS, no alarm is delivered if the key's policy does not admit CloudWatch, and the
deployment fails if it does not admit CloudWatch Logs. IAM decides what principals may do through services;
tests/security checks the role.
"""

from __future__ import annotations

import json
from typing import Any

from moto.dynamodb import responses as dynamodb
from moto.kms.models import kms_backends
from moto.logs import models as logs
from moto.logs import responses as logs_responses
from moto.logs.exceptions import InvalidParameterException
from moto.sns.models import sns_backends

from tools.localcloud.account import ACCOUNT_ID
from tools.localcloud.policies import allowing

# https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
TO_PUBLISH = ("kms:Decrypt", "kms:GenerateDataKey")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
TO_KEEP_LOGS = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:DescribeKey",
)


def admits(key_arn: str, service: str, actions: tuple[str, ...], context: dict[str, str]) -> bool:
    """Whether the key exists, and its policy allows the service all of these actions."""
    backend = kms_backends[ACCOUNT_ID][key_arn.split(":")[3]]
    key = backend.keys.get(key_arn.rpartition("/")[2])
    if key is None:
        return False
    policy = json.loads(key.policy)
    return all(allowing(policy, action, key_arn, context, service) for action in actions)


def opens_topic(topic_arn: str, alarm_arn: str) -> bool:
    """Whether an alarm can publish to a topic: to an encrypted one only if CloudWatch may use its key."""
    topic = sns_backends[ACCOUNT_ID][topic_arn.split(":")[3]].topics[topic_arn]
    context = {"aws:SourceAccount": ACCOUNT_ID, "aws:SourceArn": alarm_arn}
    key = topic.kms_master_key_id
    return not key or admits(key, "cloudwatch.amazonaws.com", TO_PUBLISH, context)


def _require_for_logs(key_arn: str, group: Any) -> None:
    context = {"kms:EncryptionContext:aws:logs:arn": group.arn}
    if not admits(key_arn, f"logs.{group.region}.amazonaws.com", TO_KEEP_LOGS, context):
        raise InvalidParameterException(
            f"The specified KMS key does not exist or is not allowed to be used with LogGroup '{group.arn}'"
        )


def install() -> None:
    plain_group = logs.LogGroup.__init__
    plain_table = dynamodb.DynamoHandler.update_table

    def group(self: Any, *args: Any, **kwargs: Any) -> None:
        plain_group(self, *args, **kwargs)
        if self.kms_key_id:
            _require_for_logs(self.kms_key_id, self)

    def associate_kms_key(self: Any) -> str:
        found = self.logs_backend.groups[self._get_param("logGroupName")]
        key = self._get_param("kmsKeyId")
        if key:
            _require_for_logs(key, found)
        found.kms_key_id = key
        return ""

    def update_table(self: Any) -> Any:
        wanted = self.body.get("SSESpecification")
        if wanted is not None:
            self.dynamodb_backend.get_table(self.body["TableName"]).sse_specification = wanted
        return plain_table(self)

    logs.LogGroup.__init__ = group
    logs_responses.LogsResponse.associate_kms_key = associate_kms_key
    logs_responses.LogsResponse.disassociate_kms_key = associate_kms_key  # it has no key
    dynamodb.DynamoHandler.update_table = update_table
