"""The template works in every AWS partition."""

import re
from typing import Any

import pytest

from tests.support.template import EVERYTHING, KEY, TEMPLATE, TEXT, Rendered

PARTITIONS = {
    "aws": ("eu-west-1", "amazonaws.com"),
    "aws-cn": ("cn-north-1", "amazonaws.com.cn"),
    "aws-us-gov": ("us-gov-west-1", "amazonaws.com"),
    "aws-eusc": ("eusc-de-east-1", "amazonaws.eu"),
}
# Principals have the same name in all partitions: "Service principals are now globally `<SERVICE>.amazonaws.com`"
# (aws-cdk-lib 2.276.0, region-info/lib/default).
PRINCIPALS = {"batchoperations.s3", "cloudwatch", "events", "lambda", "s3"}


def texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {text for key, each in value.items() for text in {key} | texts(each)}
    if isinstance(value, list):
        return {text for each in value for text in texts(each)}
    return {str(value)}


def rendered(partition: str, parameters: dict[str, Any]) -> Rendered:
    region, domain = PARTITIONS[partition]
    key = KEY.replace("arn:aws:", f"arn:{partition}:").replace("eu-west-1", region)
    asked = parameters | ({"KmsKeyArn": key} if "KmsKeyArn" in parameters else {})
    return Rendered(asked | {"AWS::Partition": partition, "AWS::Region": region, "AWS::URLSuffix": domain})


@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["defaults", "everything"])
@pytest.mark.parametrize("partition", PARTITIONS)
def test_no_resource_mentions_another_partition_or_region(partition: str, parameters: dict[str, Any]) -> None:
    stack = rendered(partition, parameters)
    found = " ".join(texts(stack.resources) | texts(stack.outputs))
    assert set(re.findall(r"arn:([\w-]+):", found)) == {partition}
    assert set(re.findall(r"https://([\w.-]+)/", found)) == {TEMPLATE["Mappings"]["Partition"][partition]["Console"]}
    others = {region for name, (region, _) in PARTITIONS.items() if name != partition}
    assert not [region for region in others if region in found]
    assert {name for name in re.findall(r"([\w.]+)\.amazonaws\.[\w.]+", found) if "console" not in name} <= PRINCIPALS


def test_each_partition_has_its_console() -> None:
    assert TEMPLATE["Mappings"]["Partition"].keys() == PARTITIONS.keys()
    assert {name: known["Console"] for name, known in TEMPLATE["Mappings"]["Partition"].items()} == {
        "aws": "console.aws.amazon.com",
        "aws-cn": "console.amazonaws.cn",
        "aws-us-gov": "console.amazonaws-us-gov.com",
        "aws-eusc": "console.amazonaws-eusc.eu",
    }


def test_no_line_names_a_partition_a_region_or_a_domain() -> None:
    mappings = TEXT[TEXT.index("\nMappings:") : TEXT.index("\nRules:")]
    for line in TEXT.replace(mappings, "").splitlines():
        said = line.split(" # ")[0]
        assert "arn:aws:" not in said, line
        assert not re.search(r"\b(us|eu|ap|cn|sa|ca|me|af)-(gov-)?[a-z]+-\d\b", said), line
        assert "amazonaws" not in said or re.search(r"(Service|Principal): [\w.]+\.amazonaws\.com$", said), line
