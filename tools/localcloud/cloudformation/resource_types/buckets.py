"""S3 buckets as declared in CloudFormation, whose lifecycle rules differ most from the API's."""

from __future__ import annotations

from typing import Any

from tools.localcloud.cloudformation.resource_types.base import Properties, Resource
from tools.localcloud.cloudformation.shapes import policy_text

DELETIONS = {
    "put_bucket_encryption": "delete_bucket_encryption",
    "put_public_access_block": "delete_public_access_block",
    "put_bucket_ownership_controls": "delete_bucket_ownership_controls",
    "put_bucket_lifecycle_configuration": "delete_bucket_lifecycle",
}


class Bucket(Resource):
    type = "AWS::S3::Bucket"
    properties = frozenset(
        {
            "BucketEncryption", "BucketName", "LifecycleConfiguration", "LoggingConfiguration",
            "NotificationConfiguration", "OwnershipControls", "PublicAccessBlockConfiguration", "Tags",
            "VersioningConfiguration",
        }
    )  # fmt: skip
    replaced_by = frozenset({"BucketName"})

    def create(self) -> None:
        self.physical_resource_id = name = self.name("BucketName").lower()
        place = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        arguments: Properties = {"CreateBucketConfiguration": place} if place else {}
        self.call("s3", "create_bucket", Bucket=name, **arguments)
        self.attributes = {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "DualStackDomainName": f"{name}.s3.dualstack.{self.region}.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{self.region}.amazonaws.com",
        }
        try:
            self.update({})
        except Exception:
            self.call("s3", "delete_bucket", Bucket=name)  # an incomplete bucket would block the next attempt
            raise

    def update(self, before: Properties) -> None:
        for key, apply in {
            "VersioningConfiguration": self._versioning,
            "BucketEncryption": self._encryption,
            "PublicAccessBlockConfiguration": self._public_access,
            "OwnershipControls": self._ownership,
            "LifecycleConfiguration": self._lifecycle,
            "LoggingConfiguration": self._logging,
            "NotificationConfiguration": self._notification,
        }.items():
            if self.declared.get(key) != before.get(key):
                apply(self.declared.get(key))
        if self.tags:
            self._s3("put_bucket_tagging", Tagging={"TagSet": self.tag_list})

    def _s3(self, operation: str, **arguments: Any) -> None:
        """Applies one setting of the bucket, or deletes it if it is no longer declared."""
        if arguments and None in arguments.values():
            operation, arguments = DELETIONS[operation], {}
        self.call("s3", operation, Bucket=self.physical_resource_id, **arguments)

    def _versioning(self, wanted: Properties | None) -> None:
        # S3 cannot return to "unversioned", so removed versioning is suspended
        self._s3("put_bucket_versioning", VersioningConfiguration=wanted or {"Status": "Suspended"})

    def _encryption(self, wanted: Properties | None) -> None:
        renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
        rules = wanted and {"Rules": [_renamed(rule, renamed) for rule in wanted["ServerSideEncryptionConfiguration"]]}
        self._s3("put_bucket_encryption", ServerSideEncryptionConfiguration=rules)

    def _public_access(self, wanted: Properties | None) -> None:
        self._s3("put_public_access_block", PublicAccessBlockConfiguration=wanted)

    def _ownership(self, wanted: Properties | None) -> None:
        self._s3("put_bucket_ownership_controls", OwnershipControls=wanted)

    def _lifecycle(self, wanted: Properties | None) -> None:
        """Stores lifecycle rules without executing them: nothing here exists long enough to expire."""
        rules = wanted and {"Rules": [_lifecycle_rule(rule) for rule in wanted["Rules"]]}
        self._s3("put_bucket_lifecycle_configuration", LifecycleConfiguration=rules)

    def _logging(self, wanted: Properties | None) -> None:
        """Stores the setting if the other bucket's policy allows it; no logs are written."""
        names = {"DestinationBucketName": "TargetBucket", "LogFilePrefix": "TargetPrefix"}
        status = {"LoggingEnabled": _renamed(wanted, names)} if wanted else {}
        self._s3("put_bucket_logging", BucketLoggingStatus=status)

    def _notification(self, wanted: Properties | None) -> None:
        targets = {
            "LambdaConfigurations": ("LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
            "QueueConfigurations": ("QueueConfigurations", "Queue", "QueueArn"),
        }
        configuration: Properties = {}
        for key, rules in (wanted or {}).items():
            if key not in targets:
                raise ValueError(
                    f"{self.logical_resource_id}: the local cloud does not apply NotificationConfiguration.{key}"
                )
            api_key, target, api_target = targets[key]
            configuration[api_key] = [_notification_rule(rule, target, api_target) for rule in rules]
        self._s3("put_bucket_notification_configuration", NotificationConfiguration=configuration)

    def delete(self) -> None:
        self._s3("delete_bucket")


def _renamed(value: Properties, names: dict[str, str]) -> Properties:
    return {names.get(key, key): inner for key, inner in value.items()}


def _notification_rule(rule: Properties, target: str, api_target: str) -> Properties:
    made = _renamed(rule, {target: api_target, "Event": "Events"})
    made["Events"] = [made["Events"]]
    if "Filter" in made:
        [(kind, inner)] = made["Filter"].items()
        rules = [{"Name": f["Name"].lower(), "Value": f["Value"]} for f in inner["Rules"]]
        made["Filter"] = {"Key" if kind == "S3Key" else kind: {"FilterRules": rules}}
    return made


def _lifecycle_rule(rule: Properties) -> Properties:
    """Converts CloudFormation's flat rule to the API's nested one; botocore refuses unknown keys."""
    made: Properties = {"Filter": {"Prefix": ""}}
    for key, value in rule.items():
        match key:
            case "Id":
                made["ID"] = value
            case "ExpiredObjectDeleteMarker":
                made["Expiration"] = {key: value}
            case "TagFilters" if len(value) == 1:
                made["Filter"] = {"Tag": value[0]}
            case "Transitions":
                made[key] = [_renamed(step, {"TransitionInDays": "Days"}) for step in value]
            case _:
                made[key] = value
    return made


class BucketPolicy(Resource):
    type = "AWS::S3::BucketPolicy"
    properties = frozenset({"Bucket", "PolicyDocument"})
    replaced_by = frozenset({"Bucket"})

    def create(self) -> None:
        self.physical_resource_id = self.declared["Bucket"]
        self.update({})

    def update(self, before: Properties) -> None:
        self.call("s3", "put_bucket_policy", Bucket=self.declared["Bucket"],
                  Policy=policy_text(self.declared["PolicyDocument"]))  # fmt: skip

    def delete(self) -> None:
        self.call("s3", "delete_bucket_policy", Bucket=self.declared["Bucket"])
