"""scripts/stack.py on fakes: what the other scripts know of a stack."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from scripts.stack import Overdue, Stack, WrongUse, wait_for
from tests.support.replayed import BOTH


def test_a_stacks_buckets_and_outputs(monkeypatch):
    parameters = {"ExistingBucketName": "theirs", "ExistingBucketPrefix": "in/"}
    described = {
        "Outputs": [{"OutputKey": "BucketName", "OutputValue": "b"}],
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    }
    monkeypatch.setattr(Stack, "_description", described)
    stack = Stack("the-stack")
    assert stack.sources == BOTH
    with pytest.raises(WrongUse, match=r"no output BatchRoleArn\. .*deploy\.sh --parameter BatchOperations=enabled$"):
        stack.output("BatchRoleArn")
    with pytest.raises(WrongUse, match=r"no output Other\. .*deploy\.sh$"):
        stack.output("Other")


def test_waiting_slows_down_and_ends(monkeypatch):
    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("scripts.stack.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    assert wait_for("a number", lambda: 0) == 0, "which is an answer"
    with pytest.raises(Overdue, match=r"^waited 100 s for nothing$"):
        wait_for("nothing", lambda: False, 100)
    assert (pauses[0], max(pauses), sorted(pauses)) == (0.2, 5.0, pauses)
    assert 100 < now[0] <= 105


class Live:
    """The clients of a stack whose bucket changes and whose function fails."""

    buckets = ("b", "c")

    def __init__(self) -> None:
        self.described, self.stored, self.code = 0, [], "NoSuchKey"

    def describe_stacks(self, StackName: str) -> dict:  # noqa: N803  # boto3's names
        self.described += 1
        outputs = {"BucketName": self.buckets[self.described - 1], "FailedEventsQueueUrl": "q"}
        return {"Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": outputs[key]} for key in outputs]}]}

    def get_object(self, **asked) -> dict:
        raise ClientError({"Error": {"Code": self.code}}, "GetObject")

    def put_object(self, **asked) -> dict:
        self.stored.append(asked["Bucket"])
        return {"ETag": '"e"'}

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict:  # noqa: N803
        values = {"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "0"}
        return {"Attributes": {name: values[name] for name in AttributeNames}}


def test_a_stack_is_described_once_until_it_is_refreshed(monkeypatch):
    live = Live()
    monkeypatch.setattr(Stack, "client", lambda stack, service: live)
    stack = Stack("the-stack")
    assert (stack.bucket, stack.bucket, live.described) == ("b", "b", 1)
    stack.refresh()
    assert (stack.bucket, live.described) == ("c", 2)


def test_uploads_and_their_results_are_where_they_belong(monkeypatch):
    live = Live()
    monkeypatch.setattr(Stack, "client", lambda stack, service: live)
    stack = Stack("the-stack")
    own, other = stack.upload("a.mp4", b""), stack.upload("a.mp4", b"", "theirs")
    assert live.stored == ["b", "theirs"]
    assert (own.folder, other.folder) == ("results/a.mp4/null-e/", "results-of/theirs/a.mp4/null-e/")
    assert stack.read("a.mp4") is None
    with pytest.raises(Overdue, match=r"^a.mp4 has no result, and there are 3 events in the failed-events queue$"):
        stack.outcome(own)
    live.code = "AccessDenied"
    with pytest.raises(ClientError, match="AccessDenied"):
        stack.read("a.mp4")


def test_an_event_is_submitted_only_if_lambda_takes_it_into_its_queue(monkeypatch):
    monkeypatch.setattr(Stack, "output", lambda stack, name: name)
    answer = {"StatusCode": 202, "ResponseMetadata": {"RequestId": "r1"}}
    seen = []
    fake = SimpleNamespace(invoke=lambda **asked: seen.append(asked) or answer)
    monkeypatch.setattr(Stack, "client", lambda stack, service: fake)
    assert Stack("the-stack").submit({}) == "r1"
    assert seen == [{"FunctionName": "FunctionName", "InvocationType": "Event", "Payload": b"{}"}]
    answer["StatusCode"] = 200
    with pytest.raises(RuntimeError, match="status 200"):
        Stack("the-stack").submit({})
