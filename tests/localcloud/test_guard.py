"""The local cloud refuses requests from web pages and other users of the machine."""

import http.client
import os
import stat
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tools import localcloud
from tools.localcloud.lambdas.runtime_api import RuntimeApi

STALE = "AKIA" + "Z" * 16  # the form of a key, but of no run
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TEXT = {"Content-Type": "text/plain"}  # what a page may post without asking


def sent(endpoint, method="GET", path="/", body=None, **headers):
    """Status and headers of the response to a request with exactly a browser's headers."""
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items() | {"Content-Length": str(len(body or ""))}.items():
        connection.putheader(name, value)
    connection.endheaders((body or "").encode())
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers


def signed(key, service="s3"):
    credential = f"{key}/20260101/eu-central-2/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"}


@pytest.fixture(scope="module")
def key(deployed):
    return deployed.cloud.environ["AWS_ACCESS_KEY_ID"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "rebound.example.com"},
        {"Host": "rebound.example.com:4566"},
        {"Host": "127.0.0.1"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "service"),
    [("GET", "/", "s3"), ("PUT", "/artifacts/x", "s3"), ("POST", "/", "cloudformation"), ("OPTIONS", "/", "s3")],
)
def test_a_web_page_is_refused_even_with_the_right_key(deployed, key, method, path, service, headers):
    status, answered = sent(deployed.cloud.endpoint, method, path, **signed(key, service), **headers)
    assert status == 403
    assert not [name for name in answered if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/moto-api/reset", TEXT, ""),
        ("GET", "/moto-api/data.json", {}, ""),
        ("POST", "/", FORM, "Action=DeleteStack&StackName=test&Version=2010-05-15"),
        ("PUT", "/artifacts/planted.zip", TEXT, "a package"),
        ("POST", "/2015-03-31/functions", TEXT, "{}"),
        ("POST", "/_localcloud/faults", TEXT, '{"kind": "deny"}'),
        ("GET", "/_localcloud/calls", {}, ""),
        ("GET", "/latest/meta-data/iam/security-credentials/", {}, ""),
        ("GET", "/artifacts?X-Amz-Credential=AKIA/20260101/eu-central-2/s3/aws4_request", {}, ""),
        ("GET", f"/artifacts?AWSAccessKeyId={STALE}", {}, ""),
        ("GET", "/", signed(STALE), ""),
        ("GET", "/_localcloud/calls", {"Authorization": f"Bearer {STALE}"}, ""),
        ("GET", "/_localcloud/calls", {"Authorization": "Bearer "}, ""),
    ],
)
def test_requests_without_the_key_of_this_run_are_refused(deployed, method, path, headers, body):
    assert sent(deployed.cloud.endpoint, method, path, body, **headers)[0] == 403
    [stack] = deployed.client("cloudformation").describe_stacks(StackName="test")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"


def test_motos_own_interface_is_off_for_everybody(deployed, key):
    assert sent(deployed.cloud.endpoint, "POST", "/moto-api/reset", "", **signed(key))[0] == 403
    assert deployed.client("s3").head_bucket(Bucket="artifacts")


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("s3", lambda client: client.list_buckets(), "InvalidAccessKeyId"),
        ("sns", lambda client: client.list_topics(), "InvalidAccessKeyId"),
        ("dynamodb", lambda client: client.list_tables(), "InvalidAccessKeyId"),
        ("lambda", lambda client: client.list_functions(), "InvalidAccessKeyId"),
    ],
)
def test_a_key_of_another_run_is_refused_with_an_explanation(deployed, service, call, code):
    client = deployed.client(service, key=STALE)
    with pytest.raises(ClientError, match="not from this run") as refused:
        call(client)
    assert refused.value.response["Error"]["Code"] == code


def test_keys_belong_to_one_run(local_cloud, tmp_path):
    with local_cloud(tmp_path / "one") as one, local_cloud(tmp_path / "two") as two:
        assert one.environ["AWS_ACCESS_KEY_ID"] != two.environ["AWS_ACCESS_KEY_ID"]
        assert one.control("GET", "calls") == []
        with pytest.raises(localcloud.LocalCloudError, match="403"):
            localcloud.LocalCloud(one.endpoint, one.state, two.environ, one.process).control("GET", "calls")


def test_only_its_owner_can_read_the_state(deployed):
    assert stat.S_IMODE(deployed.cloud.state.stat().st_mode) == 0o700


@pytest.fixture
def runtime():
    api = RuntimeApi()
    yield f"http://{api.address}"
    api.close()


NEXT = "/2018-06-01/runtime/invocation/next"


@pytest.mark.parametrize("headers", [{"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "rebound.example"}])
def test_a_web_page_can_neither_get_events_nor_respond_to_them(runtime, headers):
    assert sent(runtime, "GET", NEXT, **headers)[0] == 403
    assert sent(runtime, "POST", NEXT.replace("next", "1/response"), "{}", **headers)[0] == 403


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a connection is")
def test_another_user_cannot_respond_for_a_function(runtime):
    host, port = urlsplit(runtime).netloc.split(":")
    request = f"POST {NEXT}/1/response HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nContent-Length: 0\\r\\n\\r\\n"
    talk = f"exec 3<>/dev/tcp/{host}/{port}; printf '{request}' >&3; read -r line <&3; echo \"$line\""
    for user, status in ((65534, "403 Forbidden"), (0, "202 Accepted")):
        done = subprocess.run(["/bin/bash", "-c", talk], user=user, env={}, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == f"HTTP/1.1 {status}"
