"""Lambda's API: replaces moto's functions."""

from __future__ import annotations

import base64
from typing import Any

from moto.awslambda import models
from moto.core import responses

from tools.localcloud.lambdas.functions import Lambdas

REQUEST_ID = "x-amzn-requestid"
# AWS's message
NO_PACKAGE = (
    "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
)


def install(lambdas: Lambdas) -> None:
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
        shown = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.function_name}"} | self.logging_config
        configuration: dict[str, Any] = plain_configuration(self, on_create)
        return configuration | {"LoggingConfig": shown}

    def update_configuration(self: Any, updates: dict[str, Any]) -> Any:
        self.logging_config = updates.get("LoggingConfig", self.logging_config)
        self.tracing_config = updates.get("TracingConfig", self.tracing_config)
        self.kms_key_arn = updates.get("KMSKeyArn", self.kms_key_arn) or None  # "" removes it
        return plain_update(self, updates)

    def update_function_code(self: Any, updates: dict[str, Any]) -> Any:
        before = vars(self) | {"code": dict(self.code)}
        self.architectures = updates.get("Architectures", self.architectures)
        told = plain_code(self, updates)
        if not self.code_bytes:  # moto treats a deleted package as empty
            vars(self).update(before)
            raise models.InvalidParameterValueException(NO_PACKAGE)
        return told

    def invoke(
        self: Any, function_name: str, qualifier: str | None, body: Any, headers: Any, response_headers: Any
    ) -> bytes:
        function = self.get_function(function_name, None if qualifier == "$LATEST" else qualifier)
        payload = (body.encode() if isinstance(body, str) else bytes(body or b"")) or b"{}"
        live = lambdas.of(function.function_arn)
        kind = headers.get("X-Amz-Invocation-Type")
        if kind in ("Event", "DryRun"):
            response_headers[REQUEST_ID] = live.events.submit(payload) if kind == "Event" else ""
            return b""
        response_headers[REQUEST_ID], outcome = live.running.run_now(payload)
        response_headers["X-Amz-Executed-Version"] = "$LATEST"
        response_headers["x-amz-log-result"] = base64.b64encode(live.running.output.tail()).decode()
        if outcome.error:
            response_headers["x-amz-function-error"] = outcome.error
        return outcome.payload

    def invoke_from_service(self: Any, body: str, request_headers: Any, response_headers: Any) -> bytes:
        """SNS and other services invoke the function directly and asynchronously."""
        lambdas.of(self.function_arn).events.submit(body.encode())
        return b""

    def delete_function(self: Any, function_name: str, qualifier: str | None = None) -> None:
        arn = self.get_function(function_name).function_arn
        plain_delete(self, function_name, qualifier)
        lambdas.forget(arn)

    # moto generates a request ID for every response; an invocation's is the one in the function and in records.
    plain_id = responses.gen_amzn_requestid_long
    responses.gen_amzn_requestid_long = lambda headers: headers.get(REQUEST_ID) or plain_id(headers)
    models.LambdaFunction.__init__ = init
    models.LambdaFunction.get_configuration = get_configuration
    models.LambdaFunction.update_configuration = update_configuration
    models.LambdaFunction.update_function_code = update_function_code
    models.LambdaFunction.invoke = invoke_from_service
    models.LambdaBackend.invoke = invoke
    models.LambdaBackend.delete_function = delete_function
