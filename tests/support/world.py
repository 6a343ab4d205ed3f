"""A deployed stack on the local cloud, with control over time, failing calls and late deliveries."""

import contextlib
import hashlib
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.stack import Stack, Uploaded, wait_for
from tests.support import warm
from tools import localcloud
from tools.localcloud.deployment import ROOT, environ_of
from video_intake.uploads import NO_VERSION

MINUTE: Final = 60


@dataclass(frozen=True)
class Version(Uploaded):
    """An uploaded version, with the data in S3's event."""

    content: bytes

    @property
    def event(self) -> dict[str, Any]:
        """Its event, as sent by scripts and S3."""
        described = {
            "key": self.key,  # only ASCII letters here, so nothing needs encoding
            "versionId": self.version_id,
            "size": len(self.content),
            "eTag": hashlib.md5(self.content).hexdigest(),
        }
        return {"eventName": "ObjectCreated:Put", "eventTime": "2026-07-01T10:00:00.000Z", "s3": {"object": described}}


class World:
    """A test's interface to the stack."""

    def __init__(self, cloud: localcloud.LocalCloud, intake: Stack) -> None:
        self.cloud, self.intake = cloud, intake
        self._inbox = self._subscribe()
        self._heard: list[dict[str, Any]] = []

    # Uploads and announcements

    def upload(self, key: str, content: bytes, tags: str = "", bucket: str = "") -> Version:
        """Uploads an object, whose event the local cloud delivers."""
        s3 = self.intake.client("s3")
        answer = s3.put_object(Bucket=bucket or self.intake.bucket, Key=key, Body=content, Tagging=tags)
        etag = answer["ETag"].strip('"')
        return Version(key, answer.get("VersionId", NO_VERSION), content, etag=etag, bucket=bucket)

    def announce(self, version: Version) -> None:
        """Delivers an upload's event again, as S3 and Lambda may."""
        record = version.event
        record["s3"]["bucket"] = {"name": self.intake.bucket}
        self.deliver({"Records": [record]})

    def deliver(self, event: dict[str, Any]) -> None:
        """Puts an event into the function's queue."""
        self.intake.client("lambda").invoke(
            FunctionName=self.intake.outputs["FunctionName"], InvocationType="Event", Payload=json.dumps(event)
        )

    # Faults and time

    def allow(self, seconds: int) -> None:
        """The function's timeout from now on."""
        self.intake.client("lambda").update_function_configuration(
            FunctionName=self.intake.outputs["FunctionName"], Timeout=seconds
        )

    def fault(self, kind: str, **rule: Any) -> None:
        """Injects a failure into the function's calls that match the rule (localcloud.faults.Rule)."""
        self.cloud.control("POST", "faults", kind=kind, **rule)

    def well(self) -> None:
        """Removes all injected failures."""
        self.cloud.control("DELETE", "faults")

    def calls(self) -> list[dict[str, Any]]:
        """Every AWS call of the function."""
        return list(self.cloud.control("GET", "calls"))

    def settle(self, seconds: float = 120) -> None:
        """Waits until every event is completed, and advances the clock whenever only waiting events are left."""

        def settled() -> bool:
            events = self.events()
            if events["unfinished"] and events["unfinished"] == events["waiting"]:
                self.minute_passes()
            return not events["unfinished"]

        wait_for("every event's end", settled, seconds)

    def events(self) -> dict[str, int]:
        """The number of unfinished events, and of those waiting for a retry."""
        return dict(self.cloud.control("GET", "events"))

    def minute_passes(self) -> None:
        """Advances both clocks: locks of dead processes age, and Lambda's retries, which wait a minute and then two as
        on AWS, happen earlier. Nothing is running meanwhile."""
        table, database = self.intake.outputs["IdempotencyTableName"], self.intake.client("dynamodb")
        for record in self.records():
            if "in_progress_expiration" in record:
                database.update_item(
                    TableName=table,
                    Key={"id": record["id"]},
                    UpdateExpression="SET in_progress_expiration = in_progress_expiration - :minute",
                    ExpressionAttributeValues={":minute": {"N": str(MINUTE * 1000)}},
                )
        self.time_passes(MINUTE)

    def time_passes(self, seconds: float) -> None:
        """Advances the clock for waiting events, and makes metrics older."""
        self.cloud.control("POST", "clock", seconds=seconds)

    # What there is to see

    def records(self) -> Iterator[dict[str, Any]]:
        """The items of the idempotency table, in DynamoDB's format."""
        pages = self.intake.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.intake.outputs["IdempotencyTableName"], ConsistentRead=True):
            yield from page["Items"]

    def completed(self) -> Counter[str]:
        """The result keys in completed records."""
        done = [record["data"]["S"] for record in self.records() if record["status"]["S"] == "COMPLETED"]
        return Counter(json.loads(answer).get("resultKey", "") for answer in done)

    def messages(self) -> list[dict[str, Any]]:
        """The result documents that a subscriber received so far, in order."""
        sqs = self.intake.client("sqs")
        while found := sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10).get("Messages"):
            self._heard += [json.loads(json.loads(message["Body"])["Message"]) for message in found]
            told = [{"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]} for i, one in enumerate(found)]
            sqs.delete_message_batch(QueueUrl=self._inbox, Entries=told)
        return self._heard

    def heard_of(self) -> Counter[str]:
        """The number of messages by result key."""
        return Counter(message["resultKey"] for message in self.messages())

    def results(self, prefix: str = "") -> Counter[str]:
        """The result documents in the bucket."""
        pages = self.intake.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.intake.bucket, Prefix=f"results/{prefix}")
        keys = [one["Key"] for page in found for one in page.get("Contents", [])]
        return Counter(key for key in keys if key.endswith("/result.json"))

    def replay(self, command: str, *options: str) -> tuple[int, list[list[str]]]:
        """Runs scripts/replay.py on this stack; returns its exit status, and the columns of each line."""
        done = subprocess.run(
            [str(warm.command("replay")), command, "--stack", self.intake.name, *options],
            cwd=ROOT, env=environ_of(self.cloud), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, [line.split("\t") for line in done.stdout.splitlines()]

    def letters(self, take: str | None = None) -> list[dict[str, Any]]:
        """The messages in the failed-events queue; those for keys that begin with `take` are removed."""
        sqs, url = self.intake.client("sqs"), self.intake.outputs["FailedEventsQueueUrl"]
        found = []
        while some := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get("Messages"):
            found += some
        letters = [json.loads(message["Body"]) for message in found]
        for message, letter in zip(found, letters, strict=True):
            if take is not None and key_of(letter).startswith(take):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            else:
                sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        return letters

    def peaks(self) -> tuple[int, int]:
        """Peak memory in MB of the local cloud and of any of its functions' processes."""
        held = [0]
        for process in Path("/proc").glob("[0-9]*"):  # only on Linux
            with contextlib.suppress(OSError):
                told = re.search(r"VmHWM:\s+(\d+)", (process / "status").read_text())
                if told and str(self.cloud.state) in (process / "cmdline").read_text():
                    held.append(int(told[1]) >> 10)
        pages = self.intake.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=self.intake.outputs["LogGroupName"], filterPattern='"Max Memory Used"')
        lines = [re.search(r"Max Memory Used: (\d+)", event["message"]) for page in found for event in page["events"]]
        return max(held), max(int(line[1]) for line in lines if line)

    def _subscribe(self) -> str:
        sqs = self.intake.client("sqs")
        url: str = sqs.create_queue(QueueName=f"{self.intake.name}-inbox")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.intake.client("sns").subscribe(
            TopicArn=self.intake.outputs["OutcomeTopicArn"], Protocol="sqs", Endpoint=arn
        )
        return url


def key_of(letter: dict[str, Any]) -> str:
    """The key of the object in a failed event."""
    event = letter["requestPayload"]
    described = event["Records"][0]["s3"] if "Records" in event else event["detail"]
    return str(described["object"]["key"])
