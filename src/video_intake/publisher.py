"""Writes an outcome for people and programs: poster, result, tags, message, in this order.

The message is last, so that its readers find everything else in place, and a crash before it is
repeated as a whole by Lambda's retry. Every write may be repeated: same key and same content.
"""

import json
from typing import Any, Final

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from video_intake import messages, s3_object
from video_intake.document import Result
from video_intake.media.verdicts import Gone
from video_intake.uploads import NO_VERSION, Upload

MAX_TAGS: Final = 10  # of an S3 object
CONTENT_TYPES: Final = {"jpg": "image/jpeg", "vtt": "text/vtt", "json": "application/json"}
TAG: Final = "video-intake:"

logger = Logger(child=True)


class Publisher:
    """Publishes to one topic; results go to the bucket that the video came from."""

    def __init__(self, s3: Any, sns: Any, topic_arn: str, environment: str) -> None:
        self._s3, self._sns, self._topic_arn, self._environment = s3, sns, topic_arn, environment

    def publish(self, result: Result, pictures: dict[str, bytes]) -> None:
        """Publishes a result document and the files it names (by key).

        Raises botocore's errors: all of it is then done again.
        """
        document = json.dumps(result, indent=2, ensure_ascii=False).encode()
        for key, content in {**pictures, result["resultKey"]: document}.items():
            content_type = CONTENT_TYPES[key.rpartition(".")[2]]
            self._s3.put_object(Bucket=result["source"]["bucket"], Key=key, Body=content, ContentType=content_type)
        self._tag(result)
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=messages.subject(result),
            Message=messages.message(result),
            MessageStructure="json",
            MessageAttributes=messages.attributes(result, self._environment),
        )

    def _tag(self, result: Result) -> None:
        try:
            self._merge_tags(result)
        except ClientError as error:
            if not isinstance(s3_object.consequence(error, result["source"]["versionId"]), Gone):
                raise
            logger.info("The version was deleted while it was processed; there is nothing to tag")
        except Gone:
            logger.info("It was deleted or replaced while it was processed; there is nothing to tag")

    def _merge_tags(self, result: Result) -> None:
        source = result["source"]
        bucket, key, version_id = source["bucket"], source["key"], source["versionId"]
        if version_id == NO_VERSION:  # tags cannot be conditional, and must not describe newer content
            upload = Upload(bucket, key, version_id, source["size"], source["eTag"], "", "")
            s3_object.confirm(self._s3, upload)
        version = {"Bucket": bucket, "Key": key, "VersionId": version_id}
        before = {tag["Key"]: tag["Value"] for tag in self._s3.get_object_tagging(**version)["TagSet"]}
        after = merged(before, result)
        if after != before:
            tags = [{"Key": key, "Value": value} for key, value in after.items()]
            self._s3.put_object_tagging(**version, Tagging={"TagSet": tags})


def merged(before: dict[str, str], result: Result) -> dict[str, str]:
    """All of the user's tags, and as many of ours as there is room for."""
    theirs = {key: value for key, value in before.items() if not key.startswith(TAG)}
    ours: dict[str, str] = {TAG + "status": result["status"]}
    if "failure" in result:
        ours[TAG + "reason"] = result["failure"]["reason"]
    room = MAX_TAGS - len(theirs)
    return theirs | dict(list(ours.items())[:room])
