"""Functions, their triggers, and their roles."""

from __future__ import annotations

import io
import zipfile

from tools.localcloud.cloudformation.resource_types.base import Properties, Resource
from tools.localcloud.cloudformation.shapes import policy_text


class Role(Resource):
    type = "AWS::IAM::Role"
    properties = frozenset({"AssumeRolePolicyDocument", "Description", "Policies", "RoleName", "Tags"})
    replaced_by = frozenset({"RoleName"})

    def create(self) -> None:
        self.physical_resource_id = name = self.name("RoleName")
        made = self.call(
            "iam", "create_role", RoleName=name, Tags=self.tag_list, Description=self.declared.get("Description", ""),
            AssumeRolePolicyDocument=policy_text(self.declared["AssumeRolePolicyDocument"]),
        )["Role"]  # fmt: skip
        self.attributes = {"Arn": made["Arn"], "RoleId": made["RoleId"]}
        self._policies({})

    def update(self, before: Properties) -> None:
        name = self.physical_resource_id
        self.call("iam", "update_assume_role_policy", RoleName=name,
                  PolicyDocument=policy_text(self.declared["AssumeRolePolicyDocument"]))  # fmt: skip
        self.call("iam", "update_role", RoleName=name, Description=self.declared.get("Description", ""))
        self.call("iam", "tag_role", RoleName=name, Tags=self.tag_list)
        self._policies(before)

    def _policies(self, before: Properties) -> None:
        name = self.physical_resource_id
        wanted = {policy["PolicyName"]: policy["PolicyDocument"] for policy in self.declared.get("Policies", [])}
        for policy, document in wanted.items():
            text = policy_text(document)
            self.call("iam", "put_role_policy", RoleName=name, PolicyName=policy, PolicyDocument=text)
        for gone in {policy["PolicyName"] for policy in before.get("Policies", [])} - set(wanted):
            self.call("iam", "delete_role_policy", RoleName=name, PolicyName=gone)

    def delete(self) -> None:
        everything, self.declared = self.declared, {}
        self._policies(everything)
        self.call("iam", "delete_role", RoleName=self.physical_resource_id)


class Function(Resource):
    type = "AWS::Lambda::Function"
    properties = frozenset(
        {
            "Architectures", "Code", "Description", "Environment", "FunctionName", "Handler", "KmsKeyArn",
            "LoggingConfig", "MemorySize", "ReservedConcurrentExecutions", "Role", "Runtime", "Tags", "Timeout",
            "TracingConfig",
        }
    )  # fmt: skip
    replaced_by = frozenset({"FunctionName"})

    def create(self) -> None:
        self.physical_resource_id = name = self.name("FunctionName")
        made = self.call(
            "lambda", "create_function", FunctionName=name, Tags=self.tags, Code=self._code(),
            **self._configuration(), **self._only("Architectures"),
        )  # fmt: skip
        self.attributes = {"Arn": made["FunctionArn"]}
        self._reserve({})

    def _code(self) -> Properties:
        """Inline code becomes the module `index` of a package."""
        code: Properties = self.declared["Code"]
        if "ZipFile" not in code:
            return code
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as made:
            made.writestr(zipfile.ZipInfo("index.py", (1980, 1, 1, 0, 0, 0)), code["ZipFile"])
        return {"ZipFile": package.getvalue()}

    def _only(self, *names: str) -> Properties:
        return {key: self.declared[key] for key in names if key in self.declared}

    def _configuration(self) -> Properties:
        logging = self.declared.get("LoggingConfig", {})
        if set(logging) - {"LogFormat", "LogGroup"} or logging.get("LogFormat", "Text") != "Text":
            raise ValueError(f"{self.logical_resource_id}: the local cloud only writes text logs to a LogGroup")
        settings = self._only("Description", "Environment", "Handler", "LoggingConfig", "MemorySize", "Role", "Runtime",
                              "Timeout", "TracingConfig")  # fmt: skip
        return settings | ({"KMSKeyArn": self.declared["KmsKeyArn"]} if "KmsKeyArn" in self.declared else {})

    def update(self, before: Properties) -> None:
        defaults: Properties = {
            "Description": "", "Environment": {"Variables": {}}, "MemorySize": 128, "Timeout": 3,
            "TracingConfig": {"Mode": "PassThrough"}, "LoggingConfig": {"LogFormat": "Text"}, "KMSKeyArn": "",
        }  # fmt: skip
        name = self.physical_resource_id
        self.call("lambda", "update_function_configuration", FunctionName=name, **(defaults | self._configuration()))
        if self._only("Code", "Architectures") != {k: before[k] for k in ("Code", "Architectures") if k in before}:
            self.call("lambda", "update_function_code", FunctionName=name, **self._code(),
                      **self._only("Architectures"))  # fmt: skip
        self.call("lambda", "tag_resource", Resource=self.attributes["Arn"], Tags=self.tags)
        self._reserve(before)

    def _reserve(self, before: Properties) -> None:
        name, key = self.physical_resource_id, "ReservedConcurrentExecutions"
        if key in self.declared:
            self.call("lambda", "put_function_concurrency", FunctionName=name, **self._only(key))
        elif key in before:
            self.call("lambda", "delete_function_concurrency", FunctionName=name)

    def delete(self) -> None:
        self.call("lambda", "delete_function", FunctionName=self.physical_resource_id)


class Permission(Resource):
    type = "AWS::Lambda::Permission"
    properties = frozenset({"Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"})
    replaced_by = properties

    def create(self) -> None:
        self.physical_resource_id = self.name("-")
        self.call("lambda", "add_permission", StatementId=self.physical_resource_id, **self.declared)

    def delete(self) -> None:
        self.call("lambda", "remove_permission", FunctionName=self.declared["FunctionName"],
                  StatementId=self.physical_resource_id)  # fmt: skip


class EventSourceMapping(Resource):
    """An event source mapping for a queue; moto delivers its messages to the function one at a time."""

    type = "AWS::Lambda::EventSourceMapping"
    properties = frozenset({"EventSourceArn", "FunctionName"})
    replaced_by = frozenset({"EventSourceArn"})

    def create(self) -> None:
        self.physical_resource_id = self.call("lambda", "create_event_source_mapping", **self.declared)["UUID"]

    def delete(self) -> None:
        self.call("lambda", "delete_event_source_mapping", UUID=self.physical_resource_id)


class EventInvokeConfig(Resource):
    type = "AWS::Lambda::EventInvokeConfig"
    properties = frozenset(
        {"DestinationConfig", "FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts", "Qualifier"}
    )
    replaced_by = frozenset({"FunctionName", "Qualifier"})

    def create(self) -> None:
        if self.declared["Qualifier"] != "$LATEST":
            raise ValueError(f"{self.logical_resource_id}: the local cloud only runs $LATEST")
        self.physical_resource_id = self.name("-")
        self.update({})

    def update(self, before: Properties) -> None:
        if before:
            self.delete()  # moto appends a second configuration but keeps reading the first
        self.call("lambda", "put_function_event_invoke_config", **self.given("Qualifier"))

    def delete(self) -> None:
        self.call("lambda", "delete_function_event_invoke_config", FunctionName=self.declared["FunctionName"])
