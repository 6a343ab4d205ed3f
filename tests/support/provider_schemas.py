"""The actions that CloudFormation calls for the template's resources: the `handlers` of AWS's provider schemas."""

from typing import Final

from tests.support.template import RESOURCES, reference, schema

# The handler `list` is left out: CloudFormation calls it to find resources that are in no stack.
HANDLERS: Final = ("create", "read", "update", "delete")

# Actions in the handlers for properties that the template does not set, or with the reason given here; only for
# creating and updating, because reading and deleting may require everything.
FOR_OTHERS: Final[dict[str, dict[str, set[str]]]] = {
    "AWS::DynamoDB::Table": {
        "ContributorInsightsSpecification": {"dynamodb:UpdateContributorInsights"},
        "ImportSourceSpecification": {
            "dynamodb:ImportTable", "dynamodb:DescribeImport", "s3:GetObject", "s3:ListBucket", "logs:CreateLogGroup",
            "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents",
            "logs:PutRetentionPolicy",
        },
        "KinesisStreamSpecification": {
            "dynamodb:DisableKinesisStreamingDestination", "dynamodb:EnableKinesisStreamingDestination",
            "dynamodb:UpdateKinesisStreamingDestination", "kinesis:DescribeStream", "kinesis:PutRecords",
        },
        "ResourcePolicy": {"dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy"},
        "aliases of keys, which KmsKeyArn does not allow": {"kms:ListAliases"},
        "grants, which DynamoDB retires automatically": {"kms:RevokeGrant"},
        "replicas, which only AWS::DynamoDB::GlobalTable has": {
            "dynamodb:AssociateTableReplica", "dynamodb:BatchWriteItem", "dynamodb:CreateTableReplica",
            "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan",
            "dynamodb:UpdateItem", "iam:CreateServiceLinkedRole",
        },
    },
    "AWS::IAM::Role": {
        "ManagedPolicyArns": {"iam:AttachRolePolicy"},
        "PermissionsBoundary": {"iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"},
    },
    "AWS::Lambda::Function": {
        "CapacityProviderConfig": {"lambda:PassCapacityProvider"},
        "CodeSigningConfigArn": {
            "lambda:DeleteFunctionCodeSigningConfig", "lambda:GetCodeSigningConfig",
            "lambda:PutFunctionCodeSigningConfig",
        },
        "FileSystemConfigs": {"elasticfilesystem:DescribeMountTargets", "s3files:ListMountTargets"},
        "FunctionScalingConfig": {"lambda:PutFunctionScalingConfig"},
        "Layers": {"lambda:GetLayerVersion"},
        "PublishToLatestPublished": {"lambda:PublishVersion"},
        "RecursiveLoop": {"lambda:PutFunctionRecursionConfig"},
        "RuntimeManagementConfig": {"lambda:PutRuntimeManagementConfig", "lambda:AssociateRuntimeAlias"},
        "VpcConfig": {"ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"},
        "the package of a version (S3ObjectVersion), which `package` never names": {"s3:GetObjectVersion"},
    },
    "AWS::Logs::LogGroup": {
        "BearerTokenAuthenticationEnabled": {"logs:PutBearerTokenAuthentication"},
        "DataProtectionPolicy": {"logs:PutDataProtectionPolicy"},
        "DeletionProtectionEnabled": {"logs:PutLogGroupDeletionProtection"},
        "FieldIndexPolicies": {"logs:PutIndexPolicy", "logs:DeleteIndexPolicy"},
        "LogGroupClass": {"logs:CreateLogDelivery", "firehose:TagDeliveryStream"},
        "ResourcePolicyDocument": {"logs:PutResourcePolicy", "logs:DeleteResourcePolicy"},
    },
    "AWS::S3::Bucket": {
        "AbacStatus": {"s3:PutBucketAbac"},
        "AccelerateConfiguration": {"s3:PutAccelerateConfiguration"},
        "AccessControl": {"s3:GetBucketAcl", "s3:PutBucketAcl", "s3:PutObjectAcl"},
        "AnalyticsConfigurations": {"s3:PutAnalyticsConfiguration"},
        "CorsConfiguration": {"s3:PutBucketCORS"},
        "IntelligentTieringConfigurations": {"s3:PutIntelligentTieringConfiguration"},
        "InventoryConfigurations": {"s3:PutInventoryConfiguration"},
        "MetadataConfiguration": {
            "s3:CreateBucketMetadataTableConfiguration", "s3:DeleteBucketMetadataTableConfiguration",
            "s3:UpdateBucketMetadataAnnotationTableConfiguration", "s3:UpdateBucketMetadataInventoryTableConfiguration",
            "s3:UpdateBucketMetadataJournalTableConfiguration", "s3tables:CreateNamespace", "s3tables:CreateTable",
            "s3tables:CreateTableBucket", "s3tables:GetTable", "s3tables:GetTableMetadataLocation",
            "s3tables:PutTableBucketPolicy", "s3tables:PutTableEncryption", "s3tables:PutTablePolicy",
            "s3tables:UpdateTableMetadataLocation",
        },
        "MetricsConfigurations": {"s3:PutMetricsConfiguration"},
        "ObjectLockConfiguration": {"s3:PutBucketObjectLockConfiguration"},
        "ReplicationConfiguration": {"s3:PutReplicationConfiguration", "iam:PassRole"},
        "WebsiteConfiguration": {"s3:PutBucketWebsite", "s3:DeleteBucketWebsite"},
        "objects, of which a new bucket has none": {"s3:DeleteObject"},
    },
    "AWS::SNS::Subscription": {"SubscriptionRoleArn": {"iam:GetRole", "iam:PassRole"}},
    "AWS::SNS::Topic": {
        "DataProtectionPolicy": {"sns:PutDataProtectionPolicy"},
        "DeliveryStatusLogging": {"iam:GetRole", "iam:PassRole"},
        "Subscription": {"sns:Subscribe", "sns:Unsubscribe"},
    },
}  # fmt: skip
# Of a network interface of a function in a VPC.
NEVER_DELETED: Final = {"ec2:DescribeNetworkInterfaces"}

# cfn-lint's copy of AWS's reference has the topic here, but a subscription is not a topic: only `*` grants these.
WITHOUT_RESOURCE: Final = {"sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"}


def known_to_iam(action: str) -> bool:
    """Schemas also list operations that have no action of their name, such as s3:DeleteBucketEncryption."""
    service, name = action.split(":")
    return name.lower() in reference("Policies").get(service, {}).get("Actions", {})


def takes_a_resource(action: str) -> bool:
    """Whether an action can be limited to a resource; only `*` grants the others."""
    service, name = action.split(":")
    return action not in WITHOUT_RESOURCE and bool(
        reference("Policies")[service]["Actions"][name.lower()].get("Resources")
    )


def set_properties(kind: str) -> set[str]:
    """The properties that the template sets on any resource of a type."""
    return {name for body in RESOURCES.values() if body["Type"] == kind for name in body["Properties"]}


def called_for(kind: str) -> set[str]:
    """The actions that CloudFormation must be allowed for the template's resources of a type, KMS's included."""
    described, spared = schema(kind), FOR_OTHERS.get(kind, {})
    not_ours = {action for of, actions in spared.items() if of not in set_properties(kind) for action in actions}
    called: set[str] = set(described.get("tagging", {}).get("permissions", []))
    for handler in HANDLERS:
        permissions = set(described["handlers"].get(handler, {}).get("permissions", []))
        called |= permissions - (not_ours if handler in ("create", "update") else NEVER_DELETED)
    return {action for action in called if known_to_iam(action)}


def needed_by() -> dict[str, list[str]]:
    """Each action, and the resource types of the template that CloudFormation calls it for."""
    kinds = sorted({body["Type"] for body in RESOURCES.values()})
    actions = sorted({action for kind in kinds for action in called_for(kind)})
    return {action: [kind for kind in kinds if action in called_for(kind)] for action in actions}


if __name__ == "__main__":  # python -m tests.support.provider_schemas: why an action is in the deploy role
    for action, types in needed_by().items():
        print(f"{action:45} {', '.join(types)}")
