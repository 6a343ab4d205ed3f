"""`batch`: a backlog of millions, handed to S3 Batch Operations: a manifest in the bucket, and the job that reads it.

The job paces itself, retries, and reports; nothing here must keep running. It calls the function synchronously, past
its queue, and the function answers in the job's own schema (video_intake/batch.py).
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any, Final
from urllib.parse import quote

from scripts.replaying import versions
from scripts.replaying.progress import Progress
from scripts.stack import Stack
from video_intake.uploads import RERUN, Upload

FOLDER: Final = "batch/"  # in the bucket of the videos; BatchRole may read and write there
PRIORITY: Final = 10  # among the account's own jobs


def run(
    stack: Stack, selection: versions.Selection, name: str, rerun: str, *, apply: bool, everything: bool, workers: int
) -> int:
    """Returns the exit status. Without `apply` the job waits until somebody confirms it: its own kind of dry run."""
    progress = Progress()
    role = stack.output("BatchRoleArn")  # before an hour of walking
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as manifest:
        _write(stack, selection, everything, workers, manifest, progress)
        if not progress.counts["in the manifest"]:
            progress.summary("No job was made.")
            return 0
        manifest.flush()
        key = f"{FOLDER}{name}/manifest.csv"
        stack.client("s3").upload_file(manifest.name, stack.bucket, key)
    job = stack.client("s3control").create_job(**_job(stack, key, name, role, rerun, apply))["JobId"]
    progress.found(job)
    account = _account(stack)
    if apply:
        progress.summary(f"Follow it: aws s3control describe-job --account-id {account} --job-id {job}")
        return 0
    progress.summary(
        "The job waits until it is confirmed (or pass --yes): aws s3control update-job-status "
        f"--account-id {account} --job-id {job} --requested-job-status Ready"
    )
    return 1


def _write(
    stack: Stack, selection: versions.Selection, everything: bool, workers: int, manifest: IO[str], progress: Progress
) -> None:
    s3 = stack.client("s3")
    with ThreadPoolExecutor(workers) as pool:
        for uploads, _ in versions.pages(s3, stack.bucket, selection, {}):
            done = (False for _ in uploads) if everything else pool.map(partial(versions.has_result, s3), uploads)
            for upload, has_result in zip(uploads, done, strict=True):
                progress.count("with a result" if has_result else "in the manifest")
                if not has_result:
                    manifest.write(line(upload))


def line(upload: Upload) -> str:
    """Bucket, key and version. The encoding leaves nothing in a key that a CSV file would have to quote."""
    return f"{upload.bucket},{quote(upload.key)},{upload.version_id}\n"


def _job(stack: Stack, key: str, name: str, role: str, rerun: str, apply: bool) -> dict[str, Any]:
    stored = stack.client("s3").head_object(Bucket=stack.bucket, Key=key)
    bucket = stack.output("BucketArn")
    return {
        "AccountId": _account(stack),
        "ConfirmationRequired": not apply,
        "ClientRequestToken": name,  # a request that is repeated makes no second job
        "Description": f"{stack.name}: {name}",
        "Priority": PRIORITY,
        "RoleArn": role,
        "Operation": {
            "LambdaInvoke": {
                "FunctionArn": stack.output("FunctionArn"),
                "InvocationSchemaVersion": "2.0",
            }
            | ({"UserArguments": {RERUN: rerun}} if rerun else {})
        },
        "Manifest": {
            "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key", "VersionId"]},
            "Location": {
                "ObjectArn": f"{bucket}/{key}",
                "ObjectVersionId": stored["VersionId"],
                "ETag": stored["ETag"].strip('"'),
            },
        },
        "Report": {
            "Enabled": True,
            "Bucket": bucket,
            "Prefix": f"{FOLDER}{name}",
            "Format": "Report_CSV_20180820",
            "ReportScope": "FailedTasksOnly",  # of the others there are results
        },
    }


def _account(stack: Stack) -> str:
    return stack.output("FunctionArn").split(":")[4]
