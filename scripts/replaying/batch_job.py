"""`batch`: an S3 Batch Operations job for a backlog of millions, and the manifest that it reads from the bucket.

The job paces itself, retries, and reports, so nothing here must keep running. It invokes the function synchronously,
without its queue, and the function responds in the job's schema (video_intake/batch.py).
"""

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any, Final
from urllib.parse import quote

from scripts.replaying import versions
from scripts.replaying.progress import Progress
from scripts.stack import Source, Stack
from video_intake.batch import UNVERSIONED
from video_intake.uploads import NO_VERSION, RERUN, Upload

FOLDER: Final = "batch/"  # in the stack's bucket; BatchRole can read and write there
PRIORITY: Final = 10  # among the account's own jobs


def run(
    stack: Stack,
    sources: list[Source],
    selection: versions.Selection,
    name: str,
    rerun: str,
    *,
    apply: bool,
    everything: bool,
    workers: int,
) -> int:
    """Returns the exit status. Without `apply`, the jobs wait for confirmation.

    There is a job for each bucket, because in a manifest either all lines have a version or none.
    """
    progress = Progress()
    role = stack.output("BatchRoleArn")  # fails before an hour of listing
    waiting = []
    for number, source in enumerate(sources, 1):
        job = _job_of(stack, source, selection, name if number == 1 else f"{name}-{number}", rerun, role,
                      progress, apply=apply, everything=everything, workers=workers)  # fmt: skip
        if job:
            progress.found(job)
            waiting.append(job)
    if not waiting:
        progress.summary("No job was created.")
        return 0
    account = _account(stack)
    if apply:
        progress.summary(
            *(f"Check progress: aws s3control describe-job --account-id {account} --job-id {job}" for job in waiting)
        )
        return 0
    progress.summary(
        "The job waits for confirmation (unless you pass --yes):",
        *(
            f"aws s3control update-job-status --account-id {account} --job-id {job} --requested-job-status Ready"
            for job in waiting
        ),
    )
    return 1


def _job_of(
    stack: Stack,
    source: Source,
    selection: versions.Selection,
    name: str,
    rerun: str,
    role: str,
    progress: Progress,
    *,
    apply: bool,
    everything: bool,
    workers: int,
) -> str | None:
    """Creates the job for one bucket and returns its ID; None if it has no videos to process."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as manifest:
        written = _write(stack, source, selection, everything, workers, manifest, progress)
        if not written.total():
            return None
        manifest.flush()
        key = f"{FOLDER}{name}/manifest.csv"
        stack.client("s3").upload_file(manifest.name, stack.bucket, key)
    made = stack.client("s3control").create_job(**_job(stack, key, name, role, rerun, written, apply))
    return str(made["JobId"])


def _write(
    stack: Stack,
    source: Source,
    selection: versions.Selection,
    everything: bool,
    workers: int,
    manifest: IO[str],
    progress: Progress,
) -> Counter[bool]:
    """Writes the manifest and returns the number of lines with a version and without one."""
    s3, written = stack.client("s3"), Counter[bool]()
    with ThreadPoolExecutor(workers) as pool:
        for uploads, _ in versions.pages(s3, [source], selection, {}):
            looked_up = partial(versions.has_result, s3, stack.bucket)
            done = (False for _ in uploads) if everything else pool.map(looked_up, uploads)
            for upload, has_result in zip(uploads, done, strict=True):
                progress.count("with a result" if has_result else "in the manifest")
                if not has_result:
                    manifest.write(line(upload))
                    written[upload.version_id != NO_VERSION] += 1
    return written


def line(upload: Upload) -> str:
    """Bucket, key and version. Encoded keys need no CSV quoting."""
    return f"{upload.bucket},{quote(upload.key)},{upload.version_id}\n"


def _job(
    stack: Stack, key: str, name: str, role: str, rerun: str, written: Counter[bool], apply: bool
) -> dict[str, Any]:
    stored = stack.client("s3").head_object(Bucket=stack.bucket, Key=key)
    bucket = stack.output("BucketArn")
    arguments = ({RERUN: rerun} if rerun else {}) | ({UNVERSIONED: "yes"} if written[False] else {})
    version = "VersionId" if written[True] else "Ignore"  # S3 requires IDs in a version column
    return {
        "AccountId": _account(stack),
        "ConfirmationRequired": not apply,
        "ClientRequestToken": name,  # a repeated request creates no second job
        "Description": f"{stack.name}: {name}",
        "Priority": PRIORITY,
        "RoleArn": role,
        "Operation": {
            "LambdaInvoke": {
                "FunctionArn": stack.output("FunctionArn"),
                "InvocationSchemaVersion": "2.0",
            }
            | ({"UserArguments": arguments} if arguments else {})
        },
        "Manifest": {
            "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key", version]},
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
            "ReportScope": "FailedTasksOnly",  # the others have results
        },
    }


def _account(stack: Stack) -> str:
    return stack.output("FunctionArn").split(":")[4]
