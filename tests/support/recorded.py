"""Records a script's requests to AWS as IAM evaluates them, with a proxy in front of the local cloud.

Each has the SDK operation, and the actions and ARNs that IAM must allow.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import boto3

ACCOUNT: Final = "123456789012"
NOWHERE: Final = "*"  # the resource of a request whose action has none

# S3's operations whose permission has another name.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
S3_ACTIONS: Final = {
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}
OF_VERSIONS: Final = {"GetObject", "DeleteObject", "GetObjectTagging", "PutObjectTagging"}
# https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: "No permissions are required"
FREE: Final = {"sts:GetCallerIdentity"}


@dataclass(frozen=True)
class Request:
    """One call of AWS."""

    operation: str  # "s3:PutBucketTagging"
    needs: frozenset[tuple[str, str]]  # all actions with their ARNs
    context: frozenset[tuple[str, str]] = frozenset()  # keys of the request for conditions


@contextmanager
def recorder(endpoint: str) -> Iterator[tuple[str, list[Request]]]:
    """An endpoint that forwards everything to another one, and records it."""
    seen: list[Request] = []
    target = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(asked(self.command, self.path, dict(self.headers), body))
            connection = HTTPConnection(target)
            connection.request(self.command, self.path, body, dict(self.headers) | {"Host": target})
            answer = connection.getresponse()
            content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815  # http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def asked(method: str, path: str, headers: dict[str, str], body: bytes) -> Request:
    """Identifies a request. Raises KeyError or ValueError if it is not supported."""
    credential = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", headers.get("Authorization", ""))
    if credential is None:
        raise ValueError(f"not signed: {method} {path}")
    region, service = credential[1], {"monitoring": "cloudwatch"}.get(credential[2], credential[2])
    if service == "s3":
        return _s3(method, path, headers, body)
    operation, given = _other(path, headers, body)
    name = f"{service}:{operation}"
    if name in FREE:
        return Request(name, frozenset())
    needs = frozenset((name, arn) for arn in _resources(service, region, operation, given))
    return Request(name, needs, frozenset({("sns:Protocol", given["Protocol"])} if name == "sns:Subscribe" else ()))


def _other(path: str, headers: dict[str, str], body: bytes) -> tuple[str, dict[str, Any]]:
    if target := headers.get("X-Amz-Target"):
        return target.rpartition(".")[2], json.loads(body or b"{}")
    if "/operation/" in path:  # RPC with CBOR, whose body is not needed here
        return path.rpartition("/")[2], {}
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    return form.pop("Action"), form


def _resources(service: str, region: str, operation: str, given: dict[str, Any]) -> list[str]:
    match service:
        case "cloudformation":
            stack = given["StackName"]
            arns = [
                stack if stack.startswith("arn:") else f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{stack}/id"
            ]
            if str(given.get("ChangeSetName")).startswith("arn:"):  # IAM may check this one: see docs/ci.md
                arns.append(given["ChangeSetName"])
            return arns
        case "sns":
            return [given["TopicArn"]] if "TopicArn" in given else [NOWHERE]
        case "sqs":
            return [f"arn:aws:sqs:{region}:{ACCOUNT}:{given.get('QueueName') or given['QueueUrl'].rpartition('/')[2]}"]
        case "cloudwatch":
            return [NOWHERE]
        case "kms":
            return [given["KeyId"]]
    raise ValueError(f"{service}:{operation} names a resource that is not known here")


def _s3(method: str, path: str, headers: dict[str, str], body: bytes) -> Request:
    url = urlsplit(path)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    operation = next(
        name
        for flags, name in _s3_operations()[method, bool(key)]
        if all(query.get(flag) == value for flag, value in flags.items())
        and ("x-amz-copy-source" in headers) == ("Copy" in name)
    )
    arn = f"arn:aws:s3:::{bucket}"
    if operation == "DeleteObjects":
        found = re.findall(r"<Object>(.*?)</Object>", body.decode(), re.DOTALL)
        actions = {"s3:DeleteObject" + ("Version" if "<VersionId>" in one else "") for one in found}
        return Request("s3:DeleteObjects", frozenset((action, f"{arn}/anything") for action in actions))
    action = S3_ACTIONS.get(operation, operation)
    if "versionId" in query:
        if action not in OF_VERSIONS:
            raise ValueError(f"{operation} of a version")
        action = re.sub("Object", "ObjectVersion", action)
    return Request(f"s3:{operation}", frozenset({(f"s3:{action}", f"{arn}/{key}" if key else arn)}))


@cache
def _s3_operations() -> dict[tuple[str, bool], list[tuple[dict[str, str], str]]]:
    """By method and presence of a key: required query parameters and the operation, most specific first."""
    model = boto3.client("s3", "us-east-1").meta.service_model
    found: dict[tuple[str, bool], list[tuple[dict[str, str], str]]] = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.deprecated:  # others have the same form
            continue
        template, _, fixed = operation.http["requestUri"].partition("?")
        flags = {flag: value for flag, _, value in (each.partition("=") for each in fixed.split("&") if each)}
        flags.pop("x-id", None)
        members = operation.input_shape.members if operation.input_shape else {}
        for required in operation.input_shape.required_members if operation.input_shape else ():
            if members[required].serialization.get("location") == "querystring":
                flags[members[required].serialization["name"]] = ANYTHING
        found.setdefault((operation.http["method"], "{Key+}" in template), []).append((flags, name))
    for choices in found.values():
        choices.sort(key=lambda choice: -len(choice[0]))
    return found


class _Anything:
    def __eq__(self, other: object) -> bool:
        return other is not None

    __hash__ = None  # type: ignore[assignment]


ANYTHING: Any = _Anything()
