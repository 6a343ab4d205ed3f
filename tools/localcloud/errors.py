"""AWS's error responses, in each service's protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from tools.localcloud import calls


def answer(
    environ: dict[str, Any], start_response: Callable[..., Any], status: HTTPStatus, code: str, message: str
) -> Iterable[bytes]:
    """`status` is for the REST and query protocols; JSON services return 400."""
    if environ.get("HTTP_X_AMZ_TARGET"):
        status, content_type = HTTPStatus.BAD_REQUEST, "application/x-amz-json-1.0"
        body = json.dumps({"__type": code, "message": message})
    elif calls.credential(environ).service in ("s3", ""):
        content_type = "application/xml"
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    else:
        content_type = "text/xml"
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    start_response(f"{status.value} {status.phrase}", [("Content-Type", content_type), ("x-amzn-errortype", code)])
    return [body.encode()] if environ["REQUEST_METHOD"] != "HEAD" else []
