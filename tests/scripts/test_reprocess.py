"""`replay.py reprocess` and `batch` on fakes."""

import pytest
from botocore.exceptions import ClientError

from scripts.replaying import batch_job, reprocess, versions
from scripts.stack import Source
from tests.support.replayed import BOTH, FAULTS, OFFLINE, OWN, T0, Bucket, Buckets, Deployed, version
from video_intake import batch, uploads
from video_intake.uploads import Upload


def test_keys_are_parsed_from_the_output_of_other_commands():
    lines = ["a b.mp4\n", "\n", "c.mp4\tv1\n", "d.mp4\tv2\tbucket\tRetriesExhausted\n"]
    assert list(reprocess.listed(lines)) == [("a b.mp4", "", ""), ("c.mp4", "v1", ""), ("d.mp4", "v2", "bucket")]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "HeadObject")


class Objects:
    """A fake S3 for `reprocess`: keys by bucket. Version IDs begin with the name of their bucket."""

    def __init__(self, *places: tuple[str, str], fault: Exception | None = None) -> None:
        self.places, self.fault = places, fault  # of the bucket "closed"

    def head_object(self, Bucket: str, Key: str, VersionId: str = "") -> dict:  # noqa: N803  # boto3's names
        if self.fault and Bucket == "closed":
            raise self.fault
        if VersionId and not VersionId.startswith(Bucket):
            raise refused("400")
        if (Bucket, Key) not in self.places:
            raise refused("404")
        return {"ContentLength": 5, "ETag": '"e"', "LastModified": T0} | ({"VersionId": VersionId} if VersionId else {})


@pytest.mark.parametrize(
    ("asked", "found", "status"),
    [
        ("in/a.mp4", [("b", "in/a.mp4"), ("theirs", "in/a.mp4")], 0),
        ("in/a.mp4\t\ttheirs", [("theirs", "in/a.mp4")], 0),
        ("in/only.mp4", [("theirs", "in/only.mp4")], 0),
        ("in/a.mp4\ttheirs-1", [("theirs", "in/a.mp4")], 0),
        (" in/ a.mp4\n", [("b", " in/ a.mp4")], 0),
        ("out/a.mp4", [("b", "out/a.mp4")], 0),
        ("out/a.mp4\t\ttheirs", [], 1),  # the function may not read it
        ("in/none.mp4", [], 1),
        ("in/a.mp4\tnobodys-1", [], 1),
        ("in/a.mp4\t\tanother", [], 1),
        ("in/a.Mp4", [], 1),
    ],
)
def test_a_selected_video_is_searched_in_every_bucket_of_the_stack(asked, found, status, capsys):
    there = Objects(
        ("b", "in/a.mp4"),
        ("theirs", "in/a.mp4"),
        ("theirs", "in/only.mp4"),
        ("b", "out/a.mp4"),
        ("theirs", "out/a.mp4"),
        ("b", " in/ a.mp4"),
        ("b", "in/a.Mp4"),
    )
    stack = Deployed(there)
    assert reprocess.run(stack, BOTH, reprocess.listed([asked]), "again", apply=True, workers=1) == status
    submitted = [one for event in stack.submitted for one in uploads.parse(event)]
    assert [(one.bucket, one.key) for one in submitted] == found
    assert {(one.version_id, one.rerun) for one in submitted} <= {("null", "again"), ("theirs-1", "again")}
    told = capsys.readouterr().err
    assert (f"{' '.join(asked.split())}: " in told) is ("1 failed" in told) is bool(status), (
        "one reason for all buckets"
    )


@pytest.mark.parametrize("fault", [refused("403"), OFFLINE], ids=["forbidden", "offline"])
def test_an_error_of_a_bucket_does_not_mean_that_the_key_is_missing(fault):
    stack = Deployed(Objects(("b", "a.mp4"), fault=fault))
    work = reprocess.listed(["a.mp4"])
    assert reprocess.run(stack, [*OWN, Source("closed")], work, "again", apply=True, workers=1) == 1
    assert len(stack.submitted) == 1


def submitted(stack: Deployed) -> list[tuple[str, str, str]]:
    found = [upload for event in stack.submitted for upload in uploads.parse(event)]
    return [(upload.key, upload.version_id, upload.rerun) for upload in found]


@pytest.mark.parametrize(
    ("apply", "meant"), [(True, [("a.mp4", "v2", "again"), ("b.mp4", "v1", "again")]), (False, [])]
)
def test_the_newest_versions_get_new_results_under_the_name_of_the_run(capsys, apply, meant):
    stack = Deployed(Bucket([version("a.mp4", "v1", IsLatest=False), version("a.mp4", "v2"), version("b.mp4")]))
    status = reprocess.run(stack, OWN, reprocess.newest(stack, OWN, "in/"), "again", apply=apply, workers=1)
    assert (status, submitted(stack)) == (int(not apply), meant)
    assert stack.client("s3").asked == [{"Bucket": "b", "Prefix": "in/"}]
    nothing = "2 to be processed again. Nothing was submitted. Pass --yes to submit them.\n"
    assert capsys.readouterr() == ("a.mp4\tv2\tb\nb.mp4\tv1\tb\n", "2 submitted. Rerun again.\n" if apply else nothing)


def test_a_list_of_millions_is_processed_in_parts(monkeypatch):
    read: list[int] = []
    done: list[int] = []
    monkeypatch.setattr(reprocess, "CHUNK", 2)
    monkeypatch.setattr(Deployed, "submit", lambda self, event: done.append(len(read)))
    work = (read.append(n) or Upload("b", f"{n}.mp4", "v1", 7, "e1", "", "") for n in range(5))
    assert reprocess.run(Deployed(), OWN, work, "again", apply=True, workers=1) == 0
    assert (done[0], len(done)) == (2, 5)


def test_if_no_video_is_selected_something_is_wrong():
    assert reprocess.run(Deployed(), OWN, [], "again", apply=True, workers=1) == 1


@FAULTS
def test_a_failure_does_not_stop_the_other_videos(monkeypatch, capsys, fault):
    monkeypatch.setattr(Deployed, "fault", fault)
    stack = Deployed(Bucket([version("a.mp4"), version("b.mp4")]), refused=("a.mp4",))
    assert reprocess.run(stack, OWN, reprocess.newest(stack, OWN, ""), "again", apply=True, workers=1) == 1
    assert submitted(stack) == [("b.mp4", "v1", "again")]
    assert f"a.mp4: {type(fault).__name__}: {fault}\n" in capsys.readouterr().err


def test_keys_that_the_function_may_not_read_are_not_submitted(capsys):
    stack = Deployed(Bucket([]))
    work = [("a.txt", "", ""), Upload("b", "b.mp4", "v1", 7, "e1", "", "")]
    assert reprocess.run(stack, OWN, work, "again", apply=True, workers=1) == 1
    assert submitted(stack) == [("b.mp4", "v1", "again")]
    assert "a.txt: WrongUse" in capsys.readouterr().err


class Jobs:
    """A fake S3 and S3 Control for a batch job."""

    def __init__(self, *keys: str) -> None:
        self.bucket, self.manifests, self.jobs = Bucket([version(key) for key in keys], done=("done.mp4",)), [], []
        self.list_object_versions = self.bucket.list_object_versions

    def upload_file(self, name: str, bucket: str, key: str) -> None:
        assert bucket == "b", "the stack's, which the job's role can read"
        with open(name) as manifest:
            self.manifests.append((key, manifest.read()))

    def head_object(self, **asked) -> dict:
        assert asked["Bucket"] == "b"
        is_manifest = asked["Key"].endswith("manifest.csv")
        return {"VersionId": "m1", "ETag": '"m"'} if is_manifest else self.bucket.head_object(**asked)

    def create_job(self, **asked) -> dict:
        self.jobs.append(asked)
        return {"JobId": f"j{len(self.jobs)}"}


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("everything", [True, False])
def test_a_job_has_its_manifest_waits_without_yes_and_is_created_once(monkeypatch, capsys, apply, everything):
    s3, stack = Jobs("done.mp4", "a b.mp4"), Deployed()
    stack.clients = {"s3": s3, "s3control": s3}
    monkeypatch.setattr(Deployed, "output", lambda self, name: f"arn:aws:x:eu-west-1:1:{name}")
    options = {"apply": apply, "everything": everything, "workers": 1}
    assert batch_job.run(stack, OWN, versions.Selection(), "one", "again", **options) == int(not apply)
    lines = ["b,done.mp4,v1\n"] * everything + ["b,a%20b.mp4,v1\n"]
    assert s3.manifests == [("batch/one/manifest.csv", "".join(lines))]
    [job] = s3.jobs
    assert (job["ConfirmationRequired"], job["ClientRequestToken"]) == (not apply, "one")
    assert job["Operation"]["LambdaInvoke"]["UserArguments"] == {uploads.RERUN: "again"}
    assert job["Operation"]["LambdaInvoke"]["InvocationSchemaVersion"] == "2.0", "1.0 has no arguments"
    assert job["Manifest"]["Spec"]["Fields"] == ["Bucket", "Key", "VersionId"]
    location = {"ObjectArn": "arn:aws:x:eu-west-1:1:BucketArn/batch/one/manifest.csv", "ObjectVersionId": "m1"}
    assert job["Manifest"]["Location"] == location | {"ETag": "m"}
    assert job["Report"] == {
        "Enabled": True, "Bucket": "arn:aws:x:eu-west-1:1:BucketArn", "Prefix": "batch/one",
        "Format": "Report_CSV_20180820", "ReportScope": "FailedTasksOnly",
    }  # fmt: skip
    assert (job["AccountId"], job["Description"]) == ("1", "the-stack: one")
    assert job["RoleArn"] == "arn:aws:x:eu-west-1:1:BatchRoleArn"
    assert job["Operation"]["LambdaInvoke"]["FunctionArn"] == "arn:aws:x:eu-west-1:1:FunctionArn"
    told = capsys.readouterr()
    assert "--account-id 1 --job-id j1" in told.err
    assert told.err.startswith("2 in the manifest. " if everything else "1 with a result, 1 in the manifest. ")
    assert told.out == "j1\n"


@pytest.mark.parametrize("apply", [True, False])
def test_each_bucket_with_videos_has_a_separate_job(monkeypatch, capsys, apply):
    s3, stack = Jobs(), Deployed()
    listed = Buckets(b=[["done.mp4"], ["a.mp4"]], empty=[[]])
    listed.buckets["theirs"] = Bucket([version("in/b.mp4", "null"), version("in/c.mp4")])  # versioning came later
    monkeypatch.setattr(s3, "list_object_versions", listed.list_object_versions)
    stack.clients = {"s3": s3, "s3control": s3}
    monkeypatch.setattr(Deployed, "output", lambda self, name: f"arn:aws:x:eu-west-1:1:{name}")
    sources = [*OWN, Source("empty"), Source("theirs", "in/")]
    options = {"apply": apply, "everything": False, "workers": 1}
    assert batch_job.run(stack, sources, versions.Selection(), "one", "", **options) == int(not apply)
    told = capsys.readouterr()
    assert told.out == "j1\nj2\n"
    assert all(f"--job-id {job}" in told.err for job in ("j1", "j2"))
    assert ("--requested-job-status Ready" in told.err) is not apply
    assert s3.manifests == [
        ("batch/one/manifest.csv", "b,a.mp4,null\n"),
        ("batch/one-3/manifest.csv", "theirs,in/b.mp4,null\ntheirs,in/c.mp4,v1\n"),
    ]
    assert [job["ClientRequestToken"] for job in s3.jobs] == ["one", "one-3"], (
        "with the same one there is no second job"
    )
    assert [job["Report"]["Prefix"] for job in s3.jobs] == ["batch/one", "batch/one-3"]
    for job, third in zip(s3.jobs, ("Ignore", "VersionId"), strict=True):
        fields = ["Bucket", "Key", third]
        assert job["Manifest"]["Spec"] == {"Format": "S3BatchOperations_CSV_20180820", "Fields": fields}
        assert job["Operation"]["LambdaInvoke"]["UserArguments"] == {batch.UNVERSIONED: "yes"}
