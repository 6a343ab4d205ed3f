"""What a web page in the developer's browser could do to the local cloud."""

import http.server
import json
import re
import threading

import pytest

from tools import localcloud
from tools.localcloud.deployment import Session

playwright = pytest.importorskip("playwright.sync_api", reason="`make test-browser` installs it")

# Each attempt is possible for any page, with or without a preflight request.
PAGE = """<!doctype html><title>A page</title><pre id="seen"></pre><script>
const cloud = "%(endpoint)s", form = {"Content-Type": "application/x-www-form-urlencoded"};
const attempts = {
  reset: () => fetch(cloud + "/moto-api/reset", {method: "POST", mode: "no-cors"}),
  delete: () => fetch(cloud, {method: "POST", mode: "no-cors", headers: form, body: "%(delete)s"}),
  keyed: () => fetch(cloud + "/%(bucket)s/planted?AWSAccessKeyId=%(key)s&Signature=x&Expires=9999999999",
                     {method: "PUT", body: "x"}),
  control: () => fetch(cloud + "/_localcloud/faults", {method: "POST", mode: "no-cors", body: '{"kind": "deny"}'}),
  read: () => fetch(cloud + "/%(bucket)s/secret?AWSAccessKeyId=%(key)s").then(answer => answer.text()),
  image: () => new Promise((seen, failed) => {
    const image = new Image();
    image.onload = () => seen("shown"); image.onerror = failed;
    image.src = cloud + "/%(bucket)s/picture.svg?AWSAccessKeyId=%(key)s&Signature=x&Expires=9999999999";
  }),
};
(async () => {
  const seen = {};
  for (const name in attempts)
    try { const got = await attempts[name](); seen[name] = got.type || got; } catch (error) { seen[name] = "failed"; }
  document.getElementById("seen").textContent = JSON.stringify(seen);
})();
</script>"""
PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
DELETE = "Action=DeleteStack&StackName=kept&Version=2010-05-15"
TEMPLATE = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})


@pytest.fixture
def cloud(tmp_path):
    with localcloud.running(tmp_path / "state") as cloud:
        yield cloud


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_can_neither_change_nor_read_anything_even_with_the_key(browser, cloud, host):
    s3, formation = (Session(cloud).client(service) for service in ("s3", "cloudformation"))
    s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    s3.put_object(Bucket="theirs", Key="secret", Body=b"secret")
    s3.put_object(Bucket="theirs", Key="picture.svg", Body=PICTURE, ContentType="image/svg+xml")
    formation.create_stack(StackName="kept", TemplateBody=TEMPLATE)
    page = PAGE % {
        "endpoint": cloud.endpoint, "bucket": "theirs", "delete": DELETE, "key": cloud.environ["AWS_ACCESS_KEY_ID"],
    }  # fmt: skip

    seen = shown(browser, page, host)

    assert seen.keys() == {"reset", "delete", "keyed", "control", "read", "image"}
    assert {seen[name] for name in ("keyed", "read", "image")} == {"failed"}, seen
    assert formation.describe_stacks(StackName="kept")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    assert {one["Key"] for one in s3.list_objects_v2(Bucket="theirs")["Contents"]} == {"secret", "picture.svg"}
    refused = re.findall(r"refused (\w+) (\S+)", (cloud.state / "server.log").read_text())
    assert {path for _, path in refused} >= {"/moto-api/reset", "/", "/_localcloud/faults", "/theirs/picture.svg"}


def shown(browser, page: str, host: str) -> dict[str, str]:
    """The content of the page's `seen` when it is done."""

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        tab = browser.new_page()
        tab.goto(f"http://{host}:{site.server_port}/")
        playwright.expect(tab.locator("#seen")).not_to_be_empty()
        seen = tab.locator("#seen").inner_text()
        tab.close()
        site.shutdown()
    return json.loads(seen)
