"""Identifies requests and evaluates policies, which tests/security relies on."""

from io import BytesIO

import pytest

from tools.localcloud.calls import operation, permission
from tools.localcloud.policies import allowing


def environ(service, method="GET", path="/", query="", body=b"", **headers):
    """A signed request, as received by the server."""
    return {
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-central-1/{service}/aws4_request, More=x",
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "RAW_URI": path + ("?" + query if query else ""),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        **headers,
    }


S3 = "arn:aws:s3:::videos"
DYNAMODB = {"HTTP_X_AMZ_TARGET": "DynamoDB_20120810.PutItem"}
FORM = {"CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"}
TOPIC = "arn:aws:sns:eu-central-1:123456789012:outcomes"


@pytest.mark.parametrize(
    ("request_", "called", "action", "resource"),
    [
        (environ("s3", "GET", "/videos/a%20b", "versionId=1"), "s3:GetObject", "s3:GetObjectVersion", f"{S3}/a b"),
        (environ("s3", "GET", "/videos/a.mp4"), "s3:GetObject", "s3:GetObject", f"{S3}/a.mp4"),
        (environ("s3", "HEAD", "/videos/a.mp4", "versionId=1"), "s3:HeadObject", "s3:GetObjectVersion", f"{S3}/a.mp4"),
        (
            environ("s3", "PUT", "/videos/a.mp4", "tagging&versionId=1"),
            "s3:PutObjectTagging",
            "s3:PutObjectVersionTagging",
            f"{S3}/a.mp4",
        ),
        (environ("s3", "PUT", "/videos/results/x"), "s3:PutObject", "s3:PutObject", f"{S3}/results/x"),
        (environ("s3", "GET", "/videos", "list-type=2"), "s3:ListObjectsV2", "s3:ListBucket", S3),
        (
            environ("dynamodb", "POST", body=b'{"TableName": "once"}', **DYNAMODB),
            "dynamodb:PutItem",
            "dynamodb:PutItem",
            "arn:aws:dynamodb:eu-central-1:123456789012:table/once",
        ),
        (
            environ("sns", "POST", body=f"Action=Publish&TopicArn={TOPIC}".encode(), **FORM),
            "sns:Publish",
            "sns:Publish",
            TOPIC,
        ),
    ],
)  # fmt: skip
def test_a_request_has_the_names_of_the_sdk_and_of_iam(request_, called, action, resource):
    body = request_["wsgi.input"].getvalue()
    assert operation(request_) == called
    assert permission(request_) == (action, resource)
    assert request_["wsgi.input"].read() == body, "it is still there for the next reader"


def test_the_access_log_names_the_operation_of_every_protocol(deployed):
    lines = (deployed.cloud.state / "server.log").read_text()
    assert " cloudformation POST cloudformation:CreateChangeSet " in lines  # in the body
    assert " s3 PUT s3:PutObject " in lines  # in the method
    assert " logs POST logs:CreateLogGroup " in lines  # in a header


def policy(**statement):
    return {"Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:a/*"} | statement]}


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({}, True),
        ({"Action": ["s3:PutObject", "S3:GETOBJECT"]}, True),
        ({"Action": "s3:PutObject"}, False),
        ({"Action": "s3:GetObjec?"}, True),
        ({"Action": "s3:GetObjectVersion"}, False),
        ({"Effect": "Deny"}, False),
        ({"Resource": "*"}, True),
        ({"Resource": ["arn:b/*", "arn:a/b"]}, True),
        ({"Resource": "arn:A/*"}, False),
        ({"Resource": "arn.a/*"}, False),
        ({"Resource": "arn:a"}, False),
        ({"Condition": {"StringLike": {"kms:viaservice": ["s3.eu.*", "sns.eu.*"]}}}, True),
        ({"Condition": {"StringLike": {"kms:ViaService": "sns.*"}}}, False),
        ({"Condition": {"StringEquals": {"kms:ViaService": "s3.eu.*"}}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}, False),
    ],
)
def test_a_statement_allows_what_iam_would(statement, allowed):
    context = {"kms:ViaService": "s3.eu.amazonaws.com"}
    assert bool(allowing(policy(**statement), "s3:GetObject", "arn:a/b", context)) is allowed


def test_a_resource_policy_admits_the_service_that_it_names():
    document = policy(Principal={"Service": ["cloudwatch.amazonaws.com"]})
    assert allowing(document, "s3:GetObject", "arn:a/b", service="cloudwatch.amazonaws.com")
    assert not allowing(document, "s3:GetObject", "arn:a/b", service="logs.eu.amazonaws.com")
    assert not allowing(policy(Principal={"AWS": "arn:aws:iam::1:root"}), "s3:GetObject", "arn:a/b", service="logs")


def test_an_unsupported_condition_is_an_error():
    with pytest.raises(ValueError, match="IpAddress"):
        allowing(policy(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), "s3:GetObject", "arn:a/b")
