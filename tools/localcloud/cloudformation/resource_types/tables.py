"""DynamoDB tables."""

from __future__ import annotations

from tools.localcloud.cloudformation.resource_types.base import Properties, Resource


class Table(Resource):
    type = "AWS::DynamoDB::Table"
    made_with = frozenset({"AttributeDefinitions", "BillingMode", "KeySchema", "ProvisionedThroughput", "TableName"})
    properties = made_with | {
        "DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "SSESpecification", "Tags",
        "TimeToLiveSpecification",
    }  # fmt: skip
    replaced_by = frozenset({"AttributeDefinitions", "KeySchema", "TableName"})

    def create(self) -> None:
        self.physical_resource_id = name = self.name("TableName")
        made = self.call(
            "dynamodb", "create_table", TableName=name, Tags=self.tag_list,
            **{key: self.declared[key] for key in self.made_with - {"TableName"} if key in self.declared},
        )["TableDescription"]  # fmt: skip
        self.attributes = {"Arn": made["TableArn"]}
        self.update({})

    def update(self, before: Properties) -> None:
        name, declared = self.physical_resource_id, self.declared
        settings: Properties = {}
        if declared.get("DeletionProtectionEnabled") != before.get("DeletionProtectionEnabled"):
            settings["DeletionProtectionEnabled"] = declared.get("DeletionProtectionEnabled", False)
        if declared.get("SSESpecification") != before.get("SSESpecification"):
            if (
                "SSESpecification" not in declared
            ):  # github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1070
                raise ValueError(f"{self.logical_resource_id}: SSESpecification cannot be taken away, as on AWS")
            wanted = dict(declared["SSESpecification"])
            settings["SSESpecification"] = {"Enabled" if k == "SSEEnabled" else k: v for k, v in wanted.items()}
        if before and declared.get("BillingMode") != before.get("BillingMode"):
            settings["BillingMode"] = declared.get("BillingMode", "PROVISIONED")
        if settings:
            self.call("dynamodb", "update_table", TableName=name, **settings)
        if declared.get("TimeToLiveSpecification") != before.get("TimeToLiveSpecification"):
            wanted = declared.get("TimeToLiveSpecification") or before["TimeToLiveSpecification"] | {"Enabled": False}
            self.call("dynamodb", "update_time_to_live", TableName=name, TimeToLiveSpecification=wanted)
        if declared.get("PointInTimeRecoverySpecification") != before.get("PointInTimeRecoverySpecification"):
            wanted = declared.get("PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False})
            self.call(
                "dynamodb",
                "update_continuous_backups",
                TableName=name,
                PointInTimeRecoverySpecification=wanted,
            )
        if before:
            self.call("dynamodb", "tag_resource", ResourceArn=self.attributes["Arn"], Tags=self.tag_list)

    def delete(self) -> None:
        self.call("dynamodb", "delete_table", TableName=self.physical_resource_id)
