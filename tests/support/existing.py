"""Existing buckets whose uploads a stack processes."""

from typing import Literal

from scripts.stack import Source
from tools.localcloud import LocalCloud
from tools.localcloud.deployment import Session


def create(cloud: LocalCloud, source: Source, versioning: Literal["Enabled", "Suspended"] | None = None) -> None:
    """Creates the bucket; without `versioning`, it never had versioning."""
    s3 = Session(cloud).client("s3")
    s3.create_bucket(
        Bucket=source.bucket, CreateBucketConfiguration={"LocationConstraint": cloud.environ["AWS_REGION"]}
    )
    if versioning:
        s3.put_bucket_versioning(Bucket=source.bucket, VersioningConfiguration={"Status": versioning})


def options(source: Source) -> list[str]:
    """Of scripts/deploy.sh."""
    return ["--bucket", source.bucket, "--bucket-prefix", source.prefix, "--yes"]
