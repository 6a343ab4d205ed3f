"""Identifies a request: the SDK operation, and the IAM action and resource."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from moto.utilities.utils import get_partition

from tools.localcloud.account import ACCOUNT_ID

S3_VERBS = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}

Environ = dict[str, Any]


class Credential(NamedTuple):
    """The key, Region and service of a signed request; all empty if it is not signed."""

    key: str
    region: str
    service: str


def credential(environ: Environ) -> Credential:
    """From the header, or from the query of a presigned URL (of S3, by version 4 or 2 of the signature).

    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
    """
    query = _query(environ)
    _, _, signed = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")
    parts = (signed.split(",")[0] or query.get("X-Amz-Credential", [""])[0]).split("/")
    if len(parts) > 3:
        return Credential(parts[0], parts[2], parts[3])
    key = query.get("AWSAccessKeyId", [""])[0]
    return Credential(key, "", "s3" if key else "")


def operation(environ: Environ) -> str:
    """Service and operation, as the SDK calls it: "s3:PutObjectTagging"."""
    service = credential(environ).service
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):  # JSON protocols
        return f"{service}:{target.rpartition('.')[2]}"
    if service == "s3":
        query = _query(environ)
        if environ["REQUEST_METHOD"] == "GET" and query.get("list-type") == ["2"]:
            return "s3:ListObjectsV2"
        tagging = "Tagging" if "tagging" in query else ""
        return f"s3:{S3_VERBS.get(environ['REQUEST_METHOD'], environ['REQUEST_METHOD'])}{tagging}"
    if "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""):  # the query protocol has it in the body
        return f"{service}:{_form(environ).get('Action', ['?'])[0]}"
    return f"{service}:{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"


def permission(environ: Environ) -> tuple[str, str]:
    """The action that IAM must allow, and the ARN of the request's resource; "" if it has no known one.

    S3's actions: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    """
    _, region, service = credential(environ)
    if service == "s3":
        return _s3_permission(environ, get_partition(region))
    resource = ""
    if service == "dynamodb":
        table = json.loads(_body(environ) or b"{}").get("TableName", "")
        resource = f"arn:{get_partition(region)}:dynamodb:{region}:{ACCOUNT_ID}:table/{table}"
    elif service == "sns":
        resource = _form(environ).get("TopicArn", [""])[0]
    return operation(environ), resource


def _s3_permission(environ: Environ, partition: str) -> tuple[str, str]:
    bucket, _, key = unquote(urlsplit(environ.get("RAW_URI", "")).path).lstrip("/").partition("/")
    arn = f"arn:{partition}:s3:::{bucket}"
    if not key:
        return ("s3:ListBucket" if environ["REQUEST_METHOD"] in ("GET", "HEAD") else operation(environ)), arn
    query = _query(environ)
    verb = {"HEAD": "Get"}.get(environ["REQUEST_METHOD"], environ["REQUEST_METHOD"].capitalize())
    version, tagging = "Version" if "versionId" in query else "", "Tagging" if "tagging" in query else ""
    return f"s3:{verb}Object{version}{tagging}", f"{arn}/{key}"


def _query(environ: Environ) -> dict[str, list[str]]:
    return parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)


def _form(environ: Environ) -> dict[str, list[str]]:
    return parse_qs(_body(environ).decode())


def _body(environ: Environ) -> bytes:
    """The body, which remains readable for the handler."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    return body
