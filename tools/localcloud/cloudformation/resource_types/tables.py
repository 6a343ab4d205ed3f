"""DynamoDB tables."""

from __future__ import annotations

from tools.localcloud.cloudformation.resource_types.base import Properties, Resource


class Table(Resource):
    type = "AWS::DynamoDB::Table"
    made_with = frozenset({"AttributeDefinitions", "BillingMode", "KeySchema", "TableName"})
    properties = made_with | {
        "PointInTimeRecoverySpecification", "SSESpecification", "Tags", "TimeToLiveSpecification",
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
        if before and declared.get("BillingMode") != before.get("BillingMode"):
            raise ValueError(f"{self.logical_resource_id}: the local cloud does not change a BillingMode")
        if declared.get("SSESpecification") != before.get("SSESpecification"):
            # github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1070
            if "SSESpecification" not in declared:
                raise ValueError(f"{self.logical_resource_id}: SSESpecification cannot be removed, as on AWS")
            wanted = {"Enabled" if k == "SSEEnabled" else k: v for k, v in declared["SSESpecification"].items()}
            self.call("dynamodb", "update_table", TableName=name, SSESpecification=wanted)
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
