"""A client of a deployed stack that uses only public AWS APIs, so it works on AWS and in the local cloud."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, cast

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from video_intake.document import Result
from video_intake.uploads import NO_VERSION, Upload, folder

# Many retries, because a large replay is throttled, and a script can wait.
RETRIES: Final = {"mode": "standard", "total_max_attempts": 8}
METRICS: Final = {"VideosProcessed": "Sum", "SuccessfulProcessing": "Average", "ProcessingDuration": "Average"}
POLL_SECONDS: Final = 0.2  # at first; polling slows down, because CloudWatch charges for each request
MAX_POLL_SECONDS: Final = 5.0
KEPT_HOURS: Final = 455 * 24  # CloudWatch keeps metrics for 455 days, and refuses requests for more than 1440 points


class WrongUse(Exception):
    """A usage error. The message explains what to do instead."""


class Overdue(Exception):
    """Something did not happen in time."""


@dataclass(frozen=True)
class Source:
    """A bucket in which a stack processes uploads whose keys begin with `prefix`."""

    bucket: str
    prefix: str = ""


@dataclass(frozen=True)
class Uploaded:
    """One version of an object that was uploaded."""

    key: str
    version_id: str
    etag: str = field(default="", kw_only=True)  # if the version is NO_VERSION
    bucket: str = field(default="", kw_only=True)  # "": the stack's own

    @property
    def folder(self) -> str:
        """The folder of its result, in the stack's bucket."""
        home = "the stack's own" if self.bucket else ""  # any other name: the two differ
        return folder(Upload(self.bucket, self.key, self.version_id, 0, self.etag, "", ""), home)


class Stack:
    """The stack `name` in the account and Region of `session`, for up to `connections` threads."""

    def __init__(self, name: str, session: boto3.Session | None = None, connections: int = 16) -> None:
        self.name = name
        self.session = session or boto3.Session()
        self._config = Config(retries=RETRIES, max_pool_connections=connections)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # clients are thread-safe, but creating them is not

    def client(self, service: str) -> Any:
        """A boto3 client, one for each service."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.session.client(service, config=self._config)
            return self._clients[service]

    @cached_property
    def _description(self) -> dict[str, Any]:
        """Raises WrongUse if there is no such stack."""
        try:
            [stack] = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                region = self.session.region_name
                raise WrongUse(
                    f"There is no stack {self.name} in {region}. Pass --stack, --region or --profile."
                ) from None
            raise
        return cast("dict[str, Any]", stack)

    def refresh(self) -> None:
        """Makes the next access read outputs and parameters again, after an update."""
        vars(self).pop("_description", None)

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs by name. Raises WrongUse if there is no such stack."""
        return {output["OutputKey"]: output["OutputValue"] for output in self._description.get("Outputs", [])}

    @property
    def environment(self) -> str:
        """The stack's EnvironmentSuffix, which is a dimension of its metrics."""
        return self._parameters["EnvironmentSuffix"]

    @property
    def sources(self) -> list[Source]:
        """The buckets whose uploads are processed, the stack's own first. Raises WrongUse as `outputs` does."""
        existing = self._parameters.get("ExistingBucketName", "")
        others = [Source(existing, self._parameters.get("ExistingBucketPrefix", ""))] if existing else []
        return [Source(self.bucket), *others]

    @property
    def _parameters(self) -> dict[str, str]:
        return {each["ParameterKey"]: each["ParameterValue"] for each in self._description.get("Parameters", [])}

    def output(self, name: str) -> str:
        """Raises WrongUse if the stack has no such output."""
        if name not in self.outputs:
            hint = " --parameter BatchOperations=enabled" if name == "BatchRoleArn" else ""
            raise WrongUse(f"The stack {self.name} has no output {name}. Deploy it again: scripts/deploy.sh{hint}")
        return self.outputs[name]

    @property
    def bucket(self) -> str:
        """The bucket that videos are uploaded to."""
        return self.output("BucketName")

    def submit(self, event: Any) -> str:
        """Puts an event into the function's queue, as S3 does. Returns its request ID when it is accepted."""
        answer = self.client("lambda").invoke(
            FunctionName=self.output("FunctionName"), InvocationType="Event", Payload=json.dumps(event).encode()
        )
        if answer["StatusCode"] != 202:
            raise RuntimeError(f"Lambda did not accept the event: status {answer['StatusCode']}")
        return str(answer["ResponseMetadata"]["RequestId"])

    def upload(self, key: str, content: bytes, bucket: str = "") -> Uploaded:
        """Uploads `content` as `key`, by default to the stack's bucket."""
        answer = self.client("s3").put_object(Bucket=bucket or self.bucket, Key=key, Body=content)
        return Uploaded(key, answer.get("VersionId", NO_VERSION), etag=answer["ETag"].strip('"'), bucket=bucket)

    def upload_file(self, key: str, path: str) -> Uploaded:
        """Uploads a file of any size in parts, as `aws s3 cp` does."""
        s3 = self.client("s3")
        s3.upload_file(path, self.bucket, key, Config=TransferConfig(max_concurrency=4))
        head = s3.head_object(Bucket=self.bucket, Key=key)
        return Uploaded(key, head.get("VersionId", NO_VERSION), etag=head["ETag"].strip('"'))

    def read(self, key: str) -> bytes | None:
        """The content of an object; None if it does not exist."""
        try:
            content: bytes = self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return content

    def result(self, uploaded: Uploaded) -> Result | None:
        """The result document of a version; None if there is none yet."""
        content = self.read(uploaded.folder + "result.json")
        return cast("Result", json.loads(content)) if content else None

    def outcome(self, uploaded: Uploaded, seconds: float = 120) -> Result:
        """Waits for the result document of a version. Raises Overdue, immediately if an event failed permanently."""

        def ask() -> Result | None:
            result = self.result(uploaded)
            if result is None and (failed := self.failed_events()):
                raise Overdue(f"{uploaded.key} has no result, and there are {failed} events in the failed-events queue")
            return result

        return wait_for(f"the result of {uploaded.key}", ask, seconds)

    def tags(self, uploaded: Uploaded) -> dict[str, str]:
        """The tags of a version."""
        answer = self.client("s3").get_object_tagging(
            Bucket=uploaded.bucket or self.bucket, Key=uploaded.key, VersionId=uploaded.version_id
        )
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def failed_events(self) -> int:
        """The number of events in the failed-events queue."""
        answer = self.client("sqs").get_queue_attributes(
            QueueUrl=self.output("FailedEventsQueueUrl"), AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def metrics(self, environment: str, hours: float = 1) -> Iterator[tuple[str, str, float | None]]:
        """Name, statistic and value of each metric over the last `hours`."""
        now = datetime.now(UTC)
        for name, statistic in METRICS.items():
            answer = self.client("cloudwatch").get_metric_statistics(
                Namespace="VideoIntake",
                MetricName=name,
                Dimensions=[
                    {"Name": "environment", "Value": environment},
                    {"Name": "service", "Value": "video-intake"},
                ],
                StartTime=now - timedelta(hours=min(hours, KEPT_HOURS)),
                EndTime=now + timedelta(minutes=5),
                Period=86400,  # of each point, of which there may be many, in any order
                Statistics=["Sum", "SampleCount"],
            )
            points = answer["Datapoints"]
            total, samples = (sum(point[each] for point in points) for each in ("Sum", "SampleCount"))
            yield name, statistic.lower(), None if not points else total if statistic == "Sum" else total / samples

    def alarms(self) -> list[dict[str, Any]]:
        """The alarms of the stack."""
        alarms = self.client("cloudwatch").describe_alarms(AlarmNamePrefix=self.name + "-")["MetricAlarms"]
        return sorted(alarms, key=lambda alarm: str(alarm["AlarmName"]))


def wait_for[T](what: str, ask: Callable[[], T | None], seconds: float = 120) -> T:
    """Calls `ask` until it returns something other than None or False. Raises Overdue after `seconds`."""
    began = time.monotonic()
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        waited = time.monotonic() - began
        if waited > seconds:
            raise Overdue(f"waited {seconds:g} s for {what}")
        time.sleep(min(POLL_SECONDS + waited / 10, MAX_POLL_SECONDS))
