"""Lambda: functions run from their deployment package, synchronously or from the queue that S3 puts events in.

moto stores functions and would run them in Docker. Here a function's package is unzipped from the bytes that
were uploaded, and runs in `runtime_api.Worker`s; asynchronous events wait, are retried and end in the
on-failure destination as on AWS, with the delays of AWS scaled down to `retry_delay`.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import threading
import time
import zipfile
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from moto.awslambda import models

from tools.localcloud.account import Account, role_access_key
from tools.localcloud.running_function import RunningFunction
from tools.localcloud.runtime_api import Worker, runtime_folder

# In AWS's words
NO_PACKAGE = (
    "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
)


class Lambdas:
    """All functions of the account."""

    def __init__(self, account: Account, state: Path, retry_delay: float):
        self.account, self.retry_delay = account, retry_delay
        self._packages = state / "functions"
        self._runtime = runtime_folder(state / "runtime")
        self._running: dict[str, RunningFunction] = {}
        self._lock = threading.Lock()
        self._passed = 0.0
        self.workers: WeakValueDictionary[str, Worker] = WeakValueDictionary()  # by the session token they speak under

    def now(self) -> float:
        """The clock of events that wait."""
        return time.monotonic() + self._passed

    def pass_time(self, seconds: float) -> None:
        """So much earlier comes every retry that waits."""
        self._passed += seconds
        for running in list(self._running.values()):
            running.look()

    def events(self) -> dict[str, int]:
        """Asynchronous events that have not come to their end, and those among them that wait for a retry."""
        counts = [running.count() for running in list(self._running.values())]
        return {"unfinished": sum(one for one, _ in counts), "waiting": sum(one for _, one in counts)}

    def of(self, function: Any) -> RunningFunction:
        with self._lock:
            running = self._running.get(function.function_arn)
            if running is None or running._stopped:
                running = RunningFunction(self, function.function_name, function.region, function.account_id)
                self._running[function.function_arn] = running
            return running

    def unzipped(self, function: Any) -> Path:
        """The package's files, read-only as on Lambda; unzipped once per content."""
        name = base64.b64decode(function.code_sha_256).hex()[:16]
        root = self._packages / f"{function.function_name}-{name}"
        with self._lock:
            if not root.exists():
                making = root.with_suffix(".part")
                shutil.rmtree(making, ignore_errors=True)
                with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as package:
                    package.extractall(making)
                making.rename(root)
        return root

    def environment(self, function: Any, task_root: Path, stream: str, token: str) -> dict[str, str]:
        """What the template declares, and what Lambda itself sets; nothing of whoever started this server."""
        logging_config = getattr(function, "logging_config", {})
        environ = {str(key): str(value) for key, value in function.environment_vars.items()}
        environ |= {
            "AWS_ACCESS_KEY_ID": role_access_key(function.role),
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": token,  # tells the workers of a function apart
            "AWS_DEFAULT_REGION": function.region,
            "AWS_REGION": function.region,
            "AWS_ENDPOINT_URL": self.account.endpoint,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": self.of(function).output.log_group(function),
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "LAMBDA_RUNTIME_DIR": str(self._runtime),
            "LAMBDA_TASK_ROOT": str(task_root),
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "PYTHONPATH": str(self._runtime),
            "PYTHONUTF8": "1",  # what LANG means on Lambda; this machine may not have that locale
            "TZ": ":UTC",
            "_HANDLER": function.handler,
        }
        if logging_config.get("LogFormat") == "JSON":
            environ["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
            environ["AWS_LAMBDA_LOG_LEVEL"] = logging_config.get("ApplicationLogLevel", "INFO")
        return environ

    def deliver(self, kind: str, arn: str, event: dict[str, Any]) -> None:
        """An event to a function, a queue or a topic, as a service delivers it."""
        _, _, _, region, account_id, name = arn.split(":", 5)
        if kind == "lambda":
            function = models.lambda_backends[account_id][region].get_function(arn)
            self.of(function).submit(json.dumps(event).encode())
        elif kind == "sqs":
            sqs = self.account.client("sqs", region)
            sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=json.dumps(event))
        elif kind == "sns":
            self.account.client("sns", region).publish(TopicArn=arn, Message=json.dumps(event))
        else:
            raise ValueError(f"the local cloud cannot deliver to {arn}")

    def stop(self) -> None:
        for running in self._running.values():
            running.stop()

    def forget(self, function_arn: str) -> None:
        with self._lock:
            running = self._running.pop(function_arn, None)
        if running is not None:
            running.stop()

    def install(self) -> None:
        """Put these functions under moto's Lambda API."""
        lambdas = self
        plain_init = models.LambdaFunction.__init__
        plain_configuration = models.LambdaFunction.get_configuration
        plain_update = models.LambdaFunction.update_configuration
        plain_code = models.LambdaFunction.update_function_code
        plain_delete = models.LambdaBackend.delete_function

        def init(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            plain_init(self, account_id, spec, *args, **kwargs)
            if not self.code_bytes:
                raise models.InvalidParameterValueException(NO_PACKAGE)
            self.logging_config = spec.get("LoggingConfig", {})

        def get_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
            shown = {
                "LogFormat": "Text",
                "LogGroup": f"/aws/lambda/{self.function_name}",
            } | self.logging_config
            configuration: dict[str, Any] = plain_configuration(self, on_create)
            return configuration | {"LoggingConfig": shown}

        def update_configuration(self: Any, updates: dict[str, Any]) -> Any:
            self.logging_config = updates.get("LoggingConfig", self.logging_config)
            self.tracing_config = updates.get("TracingConfig", self.tracing_config)
            self.kms_key_arn = updates.get("KMSKeyArn", self.kms_key_arn) or None  # "" takes it away
            if "EphemeralStorage" in updates:
                self.ephemeral_storage = updates["EphemeralStorage"]["Size"]
            return plain_update(self, updates)

        def update_function_code(self: Any, updates: dict[str, Any]) -> Any:
            before = vars(self) | {"code": dict(self.code)}
            self.architectures = updates.get("Architectures", self.architectures)
            told = plain_code(self, updates)
            if not self.code_bytes:  # moto takes a package that was deleted for an empty one
                vars(self).update(before)
                raise models.InvalidParameterValueException(NO_PACKAGE)
            return told

        def invoke(
            self: Any,
            function_name: str,
            qualifier: str | None,
            body: Any,
            headers: Any,
            response_headers: Any,
        ) -> bytes:
            function = self.get_function(function_name, None if qualifier == "$LATEST" else qualifier)
            payload = body.encode() if isinstance(body, str) else bytes(body or b"")
            running = lambdas.of(function)
            match headers.get("X-Amz-Invocation-Type", "RequestResponse"):
                case "Event":
                    response_headers["x-amzn-RequestId"] = running.submit(payload or b"{}")
                    return b""
                case "DryRun":
                    return b""
            outcome = running.run_now(payload or b"{}")
            response_headers["X-Amz-Executed-Version"] = "$LATEST"
            response_headers["x-amz-log-result"] = base64.b64encode(running.output.tail()).decode()
            if outcome.error:
                response_headers["x-amz-function-error"] = outcome.error
            return outcome.payload

        def invoke_from_service(self: Any, body: str, request_headers: Any, response_headers: Any) -> bytes:
            """SNS and its like call the function directly, and asynchronously."""
            lambdas.of(self).submit(body.encode())
            return b""

        def delete_function(self: Any, function_name: str, qualifier: str | None = None) -> None:
            arn = self.get_function(function_name).function_arn
            plain_delete(self, function_name, qualifier)
            lambdas.forget(arn)

        models.LambdaFunction.__init__ = init
        models.LambdaFunction.get_configuration = get_configuration
        models.LambdaFunction.update_configuration = update_configuration
        models.LambdaFunction.update_function_code = update_function_code
        models.LambdaFunction.invoke = invoke_from_service
        models.LambdaBackend.invoke = invoke
        models.LambdaBackend.delete_function = delete_function
