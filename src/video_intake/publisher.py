"""Publishes a verdict: pictures, result, and tags in parallel, then the message.

The message is last, so everything is in place when it is read. After a crash, Lambda repeats everything: the writes
before the message may finish in any order, and each may be repeated with the same key and content.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any, Final

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from video_intake import messages, s3_object
from video_intake.document import Result
from video_intake.media.verdicts import Gone
from video_intake.uploads import NO_VERSION, Upload, Version

MAX_TAGS: Final = 10  # of an S3 object
CONTENT_TYPES: Final = {"jpg": "image/jpeg", "vtt": "text/vtt", "json": "application/json"}
TAG: Final = "video-intake:"

type Write = Callable[[], object]

logger = Logger(child=True)
pool = ThreadPoolExecutor(5)  # the most that a video needs: poster, storyboard and its WebVTT file, result, tags


def in_parallel(writes: Sequence[Write]) -> None:
    """Runs all writes in parallel. Raises the first error after all of them have ended."""
    ends = [pool.submit(write) for write in writes]
    wait(ends)  # so that none is still running when the next attempt begins
    for end in ends:
        end.result()


class Publisher:
    """Publishes to one topic; results go to their `resultBucket`.

    `carry_out` runs all writes except the message, in any order.
    """

    def __init__(
        self,
        s3: Any,
        sns: Any,
        topic_arn: str,
        environment: str,
        carry_out: Callable[[Sequence[Write]], None] = in_parallel,
    ) -> None:
        self._s3, self._sns, self._topic_arn, self._environment = s3, sns, topic_arn, environment
        self.carry_out = carry_out

    def publish(self, result: Result, pictures: dict[str, bytes]) -> None:
        """Publishes a result document and its files (by key).

        Raises botocore's errors; everything is then repeated.
        """
        document = json.dumps(result, indent=2, ensure_ascii=False).encode()
        files = {**pictures, result["resultKey"]: document}
        bucket = result["resultBucket"]
        self.carry_out([partial(self._tag, result), *(partial(self._put, bucket, *file) for file in files.items())])
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=messages.subject(result),
            Message=messages.message(result),
            MessageStructure="json",
            MessageAttributes=messages.attributes(result, self._environment),
        )

    def _put(self, bucket: str, key: str, content: bytes) -> None:
        content_type = CONTENT_TYPES[key.rpartition(".")[2]]
        self._s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)

    def _tag(self, result: Result) -> None:
        source = result["source"]
        try:
            self._merge_tags(result)
        except ClientError as error:
            version = Version(source["bucket"], source["key"], source["versionId"])
            if not isinstance(s3_object.consequence(self._s3, version, error), Gone):
                raise
            logger.info("The version was deleted while it was processed, so it was not tagged")
        except Gone:
            logger.info("The object was deleted or replaced while it was processed, so it was not tagged")

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
    """All of the user's tags, and as many of ours as fit."""
    theirs = {key: value for key, value in before.items() if not key.startswith(TAG)}
    ours: dict[str, str] = {TAG + "status": result["status"]}
    if "failure" in result:
        ours[TAG + "reason"] = result["failure"]["reason"]
    room = MAX_TAGS - len(theirs)
    return theirs | dict(list(ours.items())[:room])
