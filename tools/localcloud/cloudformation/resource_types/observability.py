"""Log groups, alarms, dashboards and saved queries."""

from __future__ import annotations

from moto.cloudwatch.models import cloudwatch_backends

from tools.localcloud.account import ACCOUNT_ID
from tools.localcloud.cloudformation.resource_types.base import Properties, Resource


class LogGroup(Resource):
    type = "AWS::Logs::LogGroup"
    properties = frozenset({"KmsKeyId", "LogGroupName", "RetentionInDays", "Tags"})
    replaced_by = frozenset({"LogGroupName"})

    def create(self) -> None:
        self.physical_resource_id = name = self.name("LogGroupName")
        key = {"kmsKeyId": self.declared["KmsKeyId"]} if "KmsKeyId" in self.declared else {}
        self.call("logs", "create_log_group", logGroupName=name, tags=self.tags, **key)
        groups = self.call("logs", "describe_log_groups", logGroupNamePrefix=name)["logGroups"]
        self.attributes = {"Arn": next(group["arn"] for group in groups if group["logGroupName"] == name)}
        self.update({})

    def update(self, before: Properties) -> None:
        name = self.physical_resource_id
        if before and self.declared.get("KmsKeyId") != before.get("KmsKeyId"):
            if "KmsKeyId" in self.declared:
                self.call("logs", "associate_kms_key", logGroupName=name, kmsKeyId=self.declared["KmsKeyId"])
            else:
                self.call("logs", "disassociate_kms_key", logGroupName=name)
        if "RetentionInDays" in self.declared:
            self.call("logs", "put_retention_policy", logGroupName=name,
                      retentionInDays=self.declared["RetentionInDays"])  # fmt: skip
        elif "RetentionInDays" in before:
            self.call("logs", "delete_retention_policy", logGroupName=name)
        self.call("logs", "tag_log_group", logGroupName=name, tags=self.tags)

    def delete(self) -> None:
        self.call("logs", "delete_log_group", logGroupName=self.physical_resource_id)


class QueryDefinition(Resource):
    type = "AWS::Logs::QueryDefinition"
    properties = frozenset({"LogGroupNames", "Name", "QueryString"})

    def create(self) -> None:
        self._put()
        self.attributes = {"QueryDefinitionId": self.physical_resource_id}

    def update(self, before: Properties) -> None:
        self._put(queryDefinitionId=self.physical_resource_id)

    def _put(self, **which: str) -> None:
        groups = {"logGroupNames": self.declared["LogGroupNames"]} if "LogGroupNames" in self.declared else {}
        made = self.call("logs", "put_query_definition", name=self.declared["Name"],
                         queryString=self.declared["QueryString"], **groups, **which)  # fmt: skip
        self.physical_resource_id = made["queryDefinitionId"]

    def delete(self) -> None:
        self.call("logs", "delete_query_definition", queryDefinitionId=self.physical_resource_id)


class Alarm(Resource):
    type = "AWS::CloudWatch::Alarm"
    properties = frozenset(
        {
            "ActionsEnabled", "AlarmActions", "AlarmDescription", "AlarmName", "ComparisonOperator",
            "DatapointsToAlarm", "Dimensions", "EvaluationPeriods", "ExtendedStatistic", "InsufficientDataActions",
            "MetricName", "Metrics", "Namespace", "OKActions", "Period", "Statistic", "Tags", "Threshold",
            "TreatMissingData", "Unit",
        }
    )  # fmt: skip
    replaced_by = frozenset({"AlarmName"})

    def create(self) -> None:
        self.physical_resource_id = self.name("AlarmName")
        self.update({})
        alarm = self.call("cloudwatch", "describe_alarms", AlarmNames=[self.physical_resource_id])
        self.attributes = {"Arn": alarm["MetricAlarms"][0]["AlarmArn"]}

    def update(self, before: Properties) -> None:
        self.call(
            "cloudwatch", "put_metric_alarm", AlarmName=self.physical_resource_id, Tags=self.tag_list,
            **self.given("AlarmName", "Tags"),
        )  # fmt: skip

    def delete(self) -> None:
        self.call("cloudwatch", "delete_alarms", AlarmNames=[self.physical_resource_id])


class Dashboard(Resource):
    type = "AWS::CloudWatch::Dashboard"
    properties = frozenset({"DashboardBody", "DashboardName", "Tags"})
    replaced_by = frozenset({"DashboardName"})

    def create(self) -> None:
        self.physical_resource_id = self.name("DashboardName")
        self.update({})

    def update(self, before: Properties) -> None:
        name = self.physical_resource_id
        self.call("cloudwatch", "put_dashboard", DashboardName=name, DashboardBody=self.declared["DashboardBody"])
        backend = cloudwatch_backends[ACCOUNT_ID][self.region]  # moto's API supports tags only for alarms
        backend.tagger.tag_resource(backend.dashboards[name].arn, self.tag_list)

    def delete(self) -> None:
        self.call("cloudwatch", "delete_dashboards", DashboardNames=[self.physical_resource_id])
