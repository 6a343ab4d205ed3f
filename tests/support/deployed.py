"""A stack of tests/localcloud/template.yaml, which uses every feature of the local cloud."""

import contextlib
import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tools import localcloud
from tools.localcloud.deployment import Session, environ_of

TEMPLATE = Path(__file__).parents[1] / "localcloud/template.yaml"
DEADLINE = 120.0  # only failures take this long


def wait_for(what, deadline=DEADLINE):
    """The first true value of `what()`."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing came within {deadline} s")


@dataclass
class Deployed:
    cloud: localcloud.LocalCloud
    folder: Path
    tools: Path  # with the AWS CLI
    outputs: dict
    _clients: dict = field(default_factory=dict)

    def client(self, service, key=None):
        if (service, key) not in self._clients:
            options = {"aws_access_key_id": key, "aws_secret_access_key": "any"} if key else {}
            self._clients[service, key] = Session(self.cloud).client(service, **options)
        return self._clients[service, key]

    def aws(self, *arguments):
        command = [str(self.tools / "aws"), *arguments]
        return subprocess.run(command, env=environ_of(self.cloud), capture_output=True, text=True, check=False)

    def deploy(self, template, stack, *parameters):
        packaged = self.folder / f"{stack}.yaml"
        made = self.aws("cloudformation", "package", "--template-file", str(template), "--s3-bucket", "artifacts",
                        "--output-template-file", str(packaged))  # fmt: skip
        assert made.returncode == 0, made.stderr
        return self.aws("cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", stack,
                        "--s3-bucket", "artifacts", "--capabilities", "CAPABILITY_IAM", "--parameter-overrides",
                        *parameters)  # fmt: skip

    @contextlib.contextmanager
    def busy(self, seconds):
        """Uses up the function's concurrency for this long."""
        functions, name = self.client("lambda"), self.outputs["Function"]
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        payload = json.dumps({"busy": seconds})
        functions.invoke(FunctionName=name, InvocationType="Event", Payload=payload)
        try:
            yield
        finally:
            functions.delete_function_concurrency(FunctionName=name)

    def upload(self, key, body=b"12345678"):
        return self.client("s3").put_object(Bucket=self.outputs["Bucket"], Key=key, Body=body)["VersionId"]

    def result(self, key):
        """Waits for what the function wrote about an upload."""
        wait_for(lambda: self.has_result(key))
        body = self.client("s3").get_object(Bucket=self.outputs["Bucket"], Key=f"results/{key}.json")["Body"].read()
        return json.loads(body)

    def has_result(self, key):
        listed = self.client("s3").list_objects_v2(Bucket=self.outputs["Bucket"], Prefix=f"results/{key}.json")
        return bool(listed["KeyCount"])

    def settled(self):
        """Whether all events are completed."""
        return not self.cloud.control("GET", "events")["unfinished"]

    def dead_letter(self, key):
        """The record about an upload in the on-failure destination."""
        sqs = self.client("sqs")

        def received():
            got = sqs.receive_message(QueueUrl=self.outputs["Queue"], MaxNumberOfMessages=10, VisibilityTimeout=0)
            records = [json.loads(message["Body"]) for message in got.get("Messages", [])]
            return [r for r in records if f'"key": "{key}"' in json.dumps(r["requestPayload"])]

        return wait_for(received)[0]

    def log(self):
        events = self.client("logs").filter_log_events(logGroupName=self.outputs["Log"])["events"]
        return "\n".join(event["message"] for event in events)
