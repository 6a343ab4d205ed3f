"""A function that does what the name of the uploaded object says."""

import json
import os
import sys
import time
from urllib.parse import unquote_plus

import boto3

s3 = boto3.client("s3")
sns = boto3.client("sns")
blocks = []


def handler(event, context):
    if event.get("source") == "aws.s3":
        return _arrived(event, context)
    if "Records" not in event:
        time.sleep(event.get("busy", 0))
        seen = {"event": event, "environment": sorted(os.environ), "modules": _foreign_modules()}
        return seen | {"request": context.aws_request_id}
    for record in event["Records"]:
        if "Sns" in record:
            print("heard of:", record["Sns"]["Message"])
            continue
        stored = record["s3"]["object"]
        key = unquote_plus(stored["key"])
        if "raise" in key:
            raise ValueError(f"told to fail by {key}")
        if "sleep" in key:
            time.sleep(60)
        if "exit" in key:
            os._exit(7)
        if "grow" in key:
            while True:
                blocks.append(b"x" * (16 << 20))
                time.sleep(0.02)
        bucket = record["s3"]["bucket"]["name"]
        head = s3.get_object(Bucket=bucket, Key=key, VersionId=stored["versionId"], Range="bytes=0-3")
        tags = {"TagSet": [{"Key": "seen", "Value": "yes"}]}
        s3.put_object_tagging(Bucket=bucket, Key=key, VersionId=stored["versionId"], Tagging=tags)
        outcome = {"record": record, "head": head["Body"].read().decode(), "request": context.aws_request_id}
        s3.put_object(Bucket=bucket, Key=f"results/{key}.json", Body=json.dumps(outcome))
        print(json.dumps(_metrics(bool(os.environ["GREETING"]))))
        sns.publish(
            TopicArn=os.environ["TOPIC"],
            Subject="An outcome",
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps({"key": key}), "email": f"Grüße: {key} is done."}),
            MessageAttributes={"status": {"DataType": "String", "StringValue": "failed" if "bad" in key else "ok"}},
        )
    return None


def _arrived(event, context):
    """Of an object in somebody else's bucket, told by EventBridge."""
    bucket, stored = event["detail"]["bucket"]["name"], event["detail"]["object"]
    if "raise" in stored["key"]:
        raise ValueError(f"told to fail by {stored['key']}")
    head = s3.get_object(Bucket=bucket, Key=stored["key"], IfMatch=stored["etag"], Range="bytes=0-3")["Body"].read()
    outcome = {"event": event, "head": head.decode(), "request": context.aws_request_id}
    s3.put_object(Bucket=bucket, Key=f"results/{stored['key']}.json", Body=json.dumps(outcome))


def _metrics(value):
    directive = {"Namespace": "Test", "Dimensions": [["Stage"]], "Metrics": [{"Name": "Seen", "Unit": "Count"}]}
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return {"_aws": metadata, "Stage": "test", "Seen": [1, 1] if value else 0}


def _foreign_modules():
    """Modules of the machine that Lambda would not have."""
    found = []
    for name in ("pytest", "moto", "av"):
        try:
            __import__(name)
            found.append(name)
        except ImportError:
            pass
    return found + [path for path in sys.path if path.endswith("site-packages")]
