"""The stack's outputs."""

import json
from pathlib import Path

import pytest

from tests.support.template import EVERYTHING, PSEUDO, RESOURCES, TEMPLATE, Rendered, references
from video_intake import results

# These need no output: they belong to a resource that has one, or are found next to it.
ADDRESSED_BY_NOBODY = {
    "AWS::S3::BucketPolicy": "of the bucket",
    "AWS::SNS::TopicPolicy": "of a topic",
    "AWS::SQS::QueuePolicy": "of the queue",
    "AWS::SNS::Subscription": "of a topic",
    "AWS::Lambda::Permission": "of the function",
    "AWS::Lambda::EventInvokeConfig": "of the function",
    "AWS::CloudWatch::Alarm": "on the dashboard, and in the messages of the alarm topic",
    "AWS::Logs::QueryDefinition": "in the console, next to the logs",
}


def test_every_useful_resource_has_an_output() -> None:
    referred = {name for output in TEMPLATE["Outputs"].values() for name in references(output["Value"])}
    needed = {name for name, body in RESOURCES.items() if body["Type"] not in ADDRESSED_BY_NOBODY}
    assert needed <= referred


@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_output_is_described_exported_and_has_a_value(parameters: dict) -> None:
    for name, output in Rendered(parameters).outputs.items():
        assert output["Description"][0].isupper()
        assert output["Export"]["Name"] == f"{PSEUDO['AWS::StackName']}-{name}"
        assert isinstance(output["Value"], str)
        assert output["Value"]


def test_a_link_into_the_console_begins_with_the_partitions_console() -> None:
    links = {name: each["Value"] for name, each in Rendered({}).outputs.items() if name.endswith("Url")}
    links.pop("FailedEventsQueueUrl")  # an address for programs
    assert links.keys() == {name for name, each in TEMPLATE["Outputs"].items() if "${Console}" in str(each)}
    assert all(link.startswith("https://console.aws.amazon.com/") for link in links.values())
    assert all("region=eu-west-1" in link for link in links.values())


def test_the_schema_version_is_the_same_everywhere(project: Path) -> None:
    schema = json.loads((project / "docs/result.schema.json").read_text())
    told = Rendered({}).outputs["ResultSchemaVersion"]["Value"]
    assert told == results.SCHEMA_VERSION == schema["properties"]["schemaVersion"]["const"]
    assert schema["$id"].endswith(f":{told}")
