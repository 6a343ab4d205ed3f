"""S3 in the local cloud: large objects, ranges, versions, events."""

import hashlib
import io
import itertools
import urllib.request

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.support.deployed import wait_for


@pytest.fixture(scope="module")
def large(deployed):
    content = b"".join(hashlib.sha256(bytes([i % 251])).digest() * 1024 for i in range(400))  # 13 MB: two parts
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=8 << 20)
    deployed.client("s3").upload_fileobj(io.BytesIO(content), deployed.outputs["Bucket"], "large.bin", Config=config)
    return content


def get(deployed, **arguments):
    return deployed.client("s3").get_object(Bucket=deployed.outputs["Bucket"], Key="large.bin", **arguments)


def test_a_large_object_comes_back_whole_and_in_ranges(deployed, large):
    whole = get(deployed)
    assert whole["Body"].read() == large
    assert whole["ETag"].endswith('-2"')
    part = get(deployed, Range="bytes=8388600-8388619", IfMatch=whole["ETag"], VersionId=whole["VersionId"])
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert part["ContentRange"] == f"bytes 8388600-8388619/{len(large)}"
    assert part["Body"].read() == large[8388600:8388620]
    assert part["VersionId"] == whole["VersionId"]
    assert get(deployed, Range="bytes=-10")["Body"].read() == large[-10:]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [({"Range": "bytes=99999999-"}, "InvalidRange"), ({"IfMatch": '"no"'}, "PreconditionFailed")],
)
def test_a_wrong_range_or_etag_is_refused(deployed, large, arguments, code):
    with pytest.raises(ClientError) as refused:
        get(deployed, **arguments)
    assert refused.value.response["Error"]["Code"] == code


def test_a_copy_of_a_large_object_is_the_same_object(deployed, large):
    bucket = deployed.outputs["Bucket"]
    deployed.client("s3").copy_object(Bucket=bucket, Key="copy.bin", CopySource={"Bucket": bucket, "Key": "large.bin"})
    copied = deployed.client("s3").get_object(Bucket=bucket, Key="copy.bin")["Body"].read()
    assert copied == large


def test_every_way_of_creating_an_object_makes_one_event(deployed):
    bucket, s3 = deployed.outputs["Bucket"], deployed.client("s3")
    deployed.upload("one put.mp4")
    s3.copy_object(Bucket=bucket, Key="two copy.MP4", CopySource={"Bucket": bucket, "Key": "one put.mp4"})
    config = TransferConfig(multipart_threshold=1, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(b"1234" * (2 << 20)), bucket, "three parts.mp4", Config=config)
    deployed.upload("four.Mp4")  # no rule for this suffix
    records = [deployed.result(key)["record"] for key in ("one put.mp4", "two copy.MP4", "three parts.mp4")]
    names = [record["eventName"] for record in records]
    assert names == ["ObjectCreated:Put", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"]
    sequencers = [record["s3"]["object"]["sequencer"] for record in records]
    assert all(earlier < later for earlier, later in itertools.pairwise(sequencers))
    log = wait_for(lambda: deployed.log())
    assert "four" not in log


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_a_presigned_put_takes_any_content_type(deployed, content_type):
    """The first is what urllib sends by default."""
    s3, where = deployed.client("s3"), {"Bucket": deployed.outputs["Bucket"], "Key": "presigned.bin"}
    body = bytes(range(256)) + b"&Action=DeleteStack&Version=2010-05-15"
    url = s3.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
    request = urllib.request.Request(url, body, {"Content-Type": content_type}, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    assert s3.get_object(**where)["Body"].read() == body


def test_tags_belong_to_a_version(deployed):
    bucket, s3 = deployed.outputs["Bucket"], deployed.client("s3")
    first, second = deployed.upload("tagged.txt"), deployed.upload("tagged.txt")
    s3.put_object_tagging(
        Bucket=bucket, Key="tagged.txt", VersionId=first, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    )
    assert s3.get_object_tagging(Bucket=bucket, Key="tagged.txt", VersionId=second)["TagSet"] == []
    assert s3.get_object_tagging(Bucket=bucket, Key="tagged.txt", VersionId=first)["TagSet"] != []


def test_a_bucket_that_may_not_invoke_the_function_cannot_notify_it(deployed):
    s3 = deployed.client("s3")
    s3.create_bucket(Bucket="stranger", CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    rule = {"LambdaFunctionArn": deployed.outputs["FunctionArn"], "Events": ["s3:ObjectCreated:*"]}
    with pytest.raises(ClientError, match="Unable to validate"):
        s3.put_bucket_notification_configuration(
            Bucket="stranger", NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
        )


def test_listing_versions_does_not_affect_their_content(deployed, large):
    for _ in range(3):
        assert deployed.client("s3").list_object_versions(Bucket=deployed.outputs["Bucket"])["Versions"]
    assert get(deployed)["Body"].read() == large


def test_with_suspended_versioning_older_versions_stay_and_null_is_replaced(deployed):
    s3, where = deployed.client("s3"), {"Bucket": "pausing", "Key": "a.txt"}
    s3.create_bucket(Bucket="pausing", CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})

    def turn(status):
        s3.put_bucket_versioning(Bucket="pausing", VersioningConfiguration={"Status": status})

    def versions():
        listed = s3.list_object_versions(Bucket="pausing")
        found = {one["VersionId"]: one["Size"] for one in listed.get("Versions", [])}
        return found | {one["VersionId"]: "deleted" for one in listed.get("DeleteMarkers", [])}

    turn("Enabled")
    kept = s3.put_object(**where, Body=b"1")["VersionId"]
    turn("Suspended")
    for body in (b"22", b"333"):
        s3.put_object(**where, Body=body)
        assert versions() == {kept: 1, "null": len(body)}
    assert s3.get_object(**where)["Body"].read() == b"333"
    assert s3.get_object(**where, VersionId="null")["Body"].read() == b"333"
    assert s3.head_object(**where, VersionId="null")["ContentLength"] == 3
    assert s3.get_object(**where, VersionId=kept)["Body"].read() == b"1"
    s3.delete_object(**where)
    assert versions() == {kept: 1, "null": "deleted"}
    s3.delete_object(**where, VersionId="null")
    assert versions() == {kept: 1}
    turn("Enabled")
    s3.put_object(**where, Body=b"4444")
    assert len(versions()) == 2
