"""Topics, subscriptions and queues."""

from __future__ import annotations

from tools.localcloud.cloudformation.resource_types.base import Properties, Resource
from tools.localcloud.cloudformation.shapes import policy_text


class Topic(Resource):
    type = "AWS::SNS::Topic"
    properties = frozenset({"TopicName", "DisplayName", "KmsMasterKeyId", "Tags"})
    replaced_by = frozenset({"TopicName"})

    def create(self) -> None:
        name = self.name("TopicName")
        self.physical_resource_id = self.call("sns", "create_topic", Name=name, Tags=self.tag_list)["TopicArn"]
        self.attributes = {"TopicName": name, "TopicArn": self.physical_resource_id}
        self.update({})

    def update(self, before: Properties) -> None:
        for key in ("DisplayName", "KmsMasterKeyId"):
            if self.declared.get(key, "") != before.get(key, ""):
                self.call("sns", "set_topic_attributes", TopicArn=self.physical_resource_id, AttributeName=key,
                          AttributeValue=self.declared.get(key, ""))  # fmt: skip
        self.call("sns", "tag_resource", ResourceArn=self.physical_resource_id, Tags=self.tag_list)

    def delete(self) -> None:
        self.call("sns", "delete_topic", TopicArn=self.physical_resource_id)


class TopicPolicy(Resource):
    type = "AWS::SNS::TopicPolicy"
    properties = frozenset({"PolicyDocument", "Topics"})
    replaced_by = frozenset({"Topics"})

    def create(self) -> None:
        self.physical_resource_id = self.name("-")
        self.update({})

    def update(self, before: Properties) -> None:
        for topic in self.declared["Topics"]:
            self.call("sns", "set_topic_attributes", TopicArn=topic, AttributeName="Policy",
                      AttributeValue=policy_text(self.declared["PolicyDocument"]))  # fmt: skip

    def delete(self) -> None:
        """Removes the topics' policy; the default policy only admits the owner."""
        empty = policy_text({"Version": "2012-10-17", "Statement": []})
        for topic in self.declared["Topics"]:
            self.call("sns", "set_topic_attributes", TopicArn=topic, AttributeName="Policy", AttributeValue=empty)


class Subscription(Resource):
    """A subscription that is confirmed immediately, except for one address (see `mail`); AWS waits for the link."""

    type = "AWS::SNS::Subscription"
    properties = frozenset(
        {"TopicArn", "Protocol", "Endpoint", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery"}
    )
    replaced_by = frozenset({"TopicArn", "Protocol", "Endpoint"})

    def create(self) -> None:
        self.physical_resource_id = self.call(
            "sns",
            "subscribe",
            ReturnSubscriptionArn=True,
            **{key: self.declared[key] for key in ("TopicArn", "Protocol", "Endpoint")},
        )["SubscriptionArn"]
        self.update({})

    def update(self, before: Properties) -> None:
        for key in ("FilterPolicyScope", "FilterPolicy", "RawMessageDelivery"):
            if key in self.declared or key in before:
                value = self.declared.get(key, {"FilterPolicyScope": "MessageAttributes"}.get(key, {}))
                self.call(
                    "sns",
                    "set_subscription_attributes",
                    SubscriptionArn=self.physical_resource_id,
                    AttributeName=key,
                    AttributeValue=value if isinstance(value, str) else policy_text(value),
                )

    def delete(self) -> None:
        self.call("sns", "unsubscribe", SubscriptionArn=self.physical_resource_id)


class Queue(Resource):
    type = "AWS::SQS::Queue"
    settings = frozenset(
        {
            "DelaySeconds", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MaximumMessageSize",
            "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy",
            "SqsManagedSseEnabled", "VisibilityTimeout",
        }
    )  # fmt: skip
    properties = settings | {"QueueName", "Tags"}
    replaced_by = frozenset({"QueueName"})

    def create(self) -> None:
        name = self.name("QueueName")
        url = self.call("sqs", "create_queue", QueueName=name, Attributes=self._attributes(), tags=self.tags)[
            "QueueUrl"
        ]
        arn = self.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
        self.physical_resource_id = url
        self.attributes = {"Arn": arn["Attributes"]["QueueArn"], "QueueName": name, "QueueUrl": url}

    def _attributes(self) -> dict[str, str]:
        declared = self.given("QueueName", "Tags")
        if "KmsMasterKeyId" in declared:
            declared.setdefault("SqsManagedSseEnabled", False)  # SQS allows only one of them
        return {k: policy_text(v) if isinstance(v, dict | bool) else str(v) for k, v in declared.items()}

    def update(self, before: Properties) -> None:
        unset = {"KmsMasterKeyId": ""} if "KmsMasterKeyId" in before else {}
        attributes = unset | self._attributes() | self._policy()
        self.call("sqs", "set_queue_attributes", QueueUrl=self.physical_resource_id, Attributes=attributes)
        self.call("sqs", "tag_queue", QueueUrl=self.physical_resource_id, Tags=self.tags)

    def _policy(self) -> dict[str, str]:
        """The policy from QueuePolicy, which moto drops when other attributes are set."""
        answer = self.call("sqs", "get_queue_attributes", QueueUrl=self.physical_resource_id, AttributeNames=["Policy"])
        return dict(answer.get("Attributes", {}))

    def delete(self) -> None:
        self.call("sqs", "delete_queue", QueueUrl=self.physical_resource_id)


class QueuePolicy(Resource):
    type = "AWS::SQS::QueuePolicy"
    properties = frozenset({"PolicyDocument", "Queues"})
    replaced_by = frozenset({"Queues"})

    def create(self) -> None:
        self.physical_resource_id = self.name("-")
        self.update({})

    def update(self, before: Properties) -> None:
        self._put(policy_text(self.declared["PolicyDocument"]))

    def delete(self) -> None:
        self._put("")

    def _put(self, policy: str) -> None:
        for queue in self.declared["Queues"]:
            self.call("sqs", "set_queue_attributes", QueueUrl=queue, Attributes={"Policy": policy})
