"""A deployed stack whose parameters change."""

import json
import re
from typing import Any

from botocore.exceptions import ClientError

from scripts.stack import Source
from tests.support import existing
from tests.support.world import World
from tools import localcloud
from tools.localcloud.deployment import ROOT
from tools.localcloud.policies import Statement

DOCUMENTED = re.findall(r"```json\n(.*?)```", (ROOT / "docs/security.md").read_text(), re.DOTALL)


class Secured(World):
    """A deployed stack whose parameters change, with the key and the bucket from the documentation."""

    def __init__(self, cloud: localcloud.LocalCloud, intake: Any) -> None:
        super().__init__(cloud, intake)
        self.account = intake.client("sts").get_caller_identity()["Account"]
        self.region = intake.session.region_name
        self.uploaders, key, _, logs = map(self._of_this_stack, DOCUMENTED)
        self.key_policy: dict[str, Any] = key
        self.key = self.make_key(key)
        self.log_bucket = "example-access-logs"
        s3 = intake.client("s3")
        s3.create_bucket(Bucket=self.log_bucket, CreateBucketConfiguration={"LocationConstraint": self.region})
        s3.put_bucket_policy(Bucket=self.log_bucket, Policy=json.dumps(logs))
        self.theirs = Source("videos-from-before", "incoming/")
        existing.create(cloud, self.theirs)
        bridge = {"EventBridgeConfiguration": {}}
        s3.put_bucket_notification_configuration(Bucket=self.theirs.bucket, NotificationConfiguration=bridge)
        self.everything = {
            "AccessLogBucket": self.log_bucket,
            "BatchOperations": "enabled",
            "EmailedOutcomes": "everything",
            "ExistingBucketName": self.theirs.bucket,
            "ExistingBucketPrefix": self.theirs.prefix,
            "KmsKeyArn": self.key,
            "NotificationEmail": "you@example.com",
            "OriginalsStorageClass": "GLACIER_IR",
            "ReservedConcurrency": "3",
            "Storyboard": "enabled",
        }

    def _of_this_stack(self, documented: str) -> dict[str, Any]:
        """A policy from docs/security.md, for this account, Region and stack."""
        for example, actual in {
            "111122223333": self.account,
            "eu-central-1": self.region,
            "video-intake-prod": self.intake.name,
        }.items():
            documented = documented.replace(example, actual)
        policy: dict[str, Any] = json.loads(documented)
        return policy

    def make_key(self, policy: dict[str, Any]) -> str:
        """The ARN of a new key."""
        made = self.intake.client("kms").create_key(Policy=json.dumps(policy))
        return str(made["KeyMetadata"]["Arn"])

    def parameters(self) -> dict[str, str]:
        """The current parameters."""
        return {each["ParameterKey"]: each["ParameterValue"] for each in self._described()["Parameters"]}

    def change(self, **wanted: str) -> str:
        """Updates the stack and returns its final status."""
        update = {"StackName": self.intake.name, "UsePreviousTemplate": True, "Capabilities": ["CAPABILITY_IAM"]}
        values = [
            {"ParameterKey": name, "ParameterValue": value} for name, value in (self.parameters() | wanted).items()
        ]
        try:
            self.intake.client("cloudformation").update_stack(**update, Parameters=values)
        except ClientError as error:
            if "No updates" not in str(error):
                raise
        self.intake.refresh()
        return str(self._described()["StackStatus"])

    def _described(self) -> dict[str, Any]:
        [stack] = self.intake.client("cloudformation").describe_stacks(StackName=self.intake.name)["Stacks"]
        return dict(stack)

    def statements(self, role_arn: str) -> list[Statement]:
        """The statements of a deployed role."""
        name, iam = role_arn.rpartition("/")[2], self.intake.client("iam")
        assert not iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
        documents = [iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in policies]
        return [statement for document in documents for statement in document["Statement"]]
