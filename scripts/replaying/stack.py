"""The deployed stack: its outputs, its clients, and the function's asynchronous door."""

import json
import threading
from functools import cached_property
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# Patient on purpose: throttling is what a replay of many meets, and nobody waits at the other end.
RETRIES: Final = {"mode": "standard", "total_max_attempts": 8}


class WrongUse(Exception):
    """What was asked for cannot be done as it was asked. The message says what to do instead."""


class Stack:
    """The stack `name`, for as many threads as there are `connections`."""

    def __init__(self, name: str, session: boto3.Session, connections: int) -> None:
        self.name = name
        self._session = session
        self._config = Config(retries=RETRIES, max_pool_connections=connections)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # clients may be used by many threads, but made by one at a time

    def client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, config=self._config)
            return self._clients[service]

    @cached_property
    def _outputs(self) -> dict[str, str]:
        try:
            [stack] = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                region = self._session.region_name
                raise WrongUse(
                    f"There is no stack {self.name} in {region}. Give --stack, --region or --profile."
                ) from None
            raise
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def output(self, name: str) -> str:
        """Raises WrongUse where the stack has no such output."""
        if name not in self._outputs:
            hint = " --parameter BatchOperations=enabled" if name == "BatchRoleArn" else ""
            raise WrongUse(f"The stack {self.name} has no output {name}. Deploy it again: scripts/deploy.sh{hint}")
        return self._outputs[name]

    @property
    def bucket(self) -> str:
        return self.output("BucketName")

    def submit(self, event: Any) -> str:
        """Puts an event into the function's queue, where S3's own go. Returns its request id once it was accepted."""
        answer = self.client("lambda").invoke(
            FunctionName=self.output("FunctionName"), InvocationType="Event", Payload=json.dumps(event).encode()
        )
        if answer["StatusCode"] != 202:
            raise RuntimeError(f"Lambda answered {answer['StatusCode']} instead of accepting the event")
        return str(answer["ResponseMetadata"]["RequestId"])
