"""scripts/deploy.sh --bucket as a user runs it: what it shows, asks, changes, and refuses."""

import json
import subprocess

import pytest

from scripts import notifications

STACK, BUCKET, PREFIX = "video-intake-bridged", "theirs-from-before", "incoming/"
UNTOUCHED = "theirs-untouched"  # no stack processes it
BRIDGE = {"EventBridgeConfiguration": {}}


@pytest.fixture(scope="module")
def s3(scripts):
    return scripts.client("s3")


@pytest.fixture(scope="module")
def before(scripts, s3):
    """The notifications of two buckets in use, as S3 returns them."""
    sqs = scripts.client("sqs")
    url = sqs.create_queue(QueueName="theirs")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".csv"}]}}
    theirs = {"Id": "theirs", "QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": rule}
    place = {"LocationConstraint": scripts.environ["AWS_REGION"]}
    for bucket in (BUCKET, UNTOUCHED):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [theirs]}
        )
    return now(s3)


def now(s3, bucket: str = BUCKET) -> dict:
    answer = s3.get_bucket_notification_configuration(Bucket=bucket)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.fixture(scope="module")
def deployments():
    return []


@pytest.fixture
def bridged(scripts, before, deployments):
    """The first deployment with one of the buckets, on a terminal; another one if a test has removed the stack."""
    if not scripts.exists(STACK):
        deployments.append(scripts.deploy("--bucket", BUCKET, "--bucket-prefix", PREFIX, env="bridged", answer="y"))
    return deployments[-1]


def test_a_plan_shows_what_would_be_added_and_adds_nothing(scripts, s3, before):
    plan = scripts.deploy("--plan", "--bucket", UNTOUCHED, "--bucket-prefix", PREFIX, env="unbridged")
    assert plan.status == 0, plan.told
    assert "  added            ExistingBucketRule (Events Rule)" in plan.out
    assert "  kept   s3:ObjectCreated:* for in/*.csv to the queue arn:aws:sqs:" in plan.out
    assert "  added  all events to EventBridge" in plan.out
    assert "whose keys begin with incoming/" in plan.out
    assert now(s3, UNTOUCHED) == before
    assert not scripts.exists("video-intake-unbridged")


@pytest.mark.parametrize("answer", ["n", None], ids=["no", "no terminal"])
def test_without_a_yes_neither_bucket_nor_stack_is_changed(scripts, s3, before, answer):
    refused = scripts.deploy("--bucket", UNTOUCHED, env="unbridged", answer=answer)
    assert refused.status == 1
    assert f"Send the events of {UNTOUCHED} to EventBridge?" in refused.told
    assert now(s3, UNTOUCHED) == before
    assert not scripts.exists("video-intake-unbridged")


def test_eventbridge_is_added_and_everything_else_stays(scripts, s3, before, bridged):
    assert bridged.status == 0, bridged.told
    assert "[y/N]" in bridged.told
    assert now(s3) == before | BRIDGE
    parameters = scripts.parameters(STACK)
    assert (parameters["ExistingBucketName"], parameters["ExistingBucketPrefix"]) == (BUCKET, PREFIX)
    assert f"missing --stack {STACK} --bucket {BUCKET} --yes" in bridged.told
    assert "Warning" not in bridged.told


def test_a_bucket_with_eventbridge_is_not_changed_and_its_prefix_is_kept(scripts, s3, bridged, tmp_path):
    path = scripts.with_cli(tmp_path, "s3api\\ put-bucket-notification-configuration) exit 254 ;;")
    again = scripts.deploy("--bucket", BUCKET, env="bridged", PATH=path)
    assert again.status == 0, again.told
    assert "is up to date" in again.told
    assert "  kept   all events to EventBridge" in again.told
    assert "The bucket is not changed. " in again.told
    assert "whose keys begin with incoming/" in again.told


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("s3api\\ put-bucket-notification-configuration) exit 0 ;;", "differ from what was written"),
        (
            "s3api\\ put-bucket-notification-configuration) echo AccessDenied >&2 && exit 254 ;;",
            '{"Effect": "Allow", "Action": "s3:PutBucketNotification", "Resource": "arn:aws:s3:::theirs-from-before"}',
        ),
        (
            "s3api\\ get-bucket-notification-configuration) echo AccessDenied >&2 && exit 254 ;;",
            '{"Effect": "Allow", "Action": "s3:GetBucketNotification", "Resource": "arn:aws:s3:::theirs-from-before"}',
        ),
    ],
    ids=["not kept", "may not write", "may not read"],
)
def test_failures_of_s3_are_reported(scripts, s3, before, bridged, tmp_path, case, sentence):
    kept = now(s3)
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=before)
    try:
        path = scripts.with_cli(tmp_path, case)
        failed = scripts.deploy("--bucket", BUCKET, "--yes", env="bridged", PATH=path)
        assert failed.status == 1
        assert sentence in failed.told
        assert now(s3) == before
    finally:
        s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=kept)


def test_concurrent_changes_are_not_overwritten(scripts, s3, before, bridged, tmp_path):
    kept = now(s3)
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=before)
    try:
        emptied = f"cloudformation\\ describe-change-set | cloudformation\\ list-change-sets) " \
                  f"'{scripts.tools / 'aws'}' s3api put-bucket-notification-configuration --bucket {BUCKET} " \
                  "--notification-configuration '{}' ;;"  # fmt: skip
        path = scripts.with_cli(tmp_path, emptied)
        failed = scripts.deploy("--bucket", BUCKET, "--yes", env="bridged", PATH=path)
        assert failed.status == 1
        assert f"the notifications of {BUCKET} were changed by someone else" in failed.told
        assert now(s3) == {}, "theirs"
    finally:
        s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=kept)


def test_a_key_that_the_role_may_not_use_is_reported_with_the_missing_statement(scripts, s3, bridged):
    kms = scripts.client("kms")
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": []}))["KeyMetadata"]["Arn"]
    with_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": with_key}]},
    )
    try:
        told = scripts.deploy("--bucket", BUCKET, env="bridged").told
        assert f"Warning: theirs-from-before is encrypted with {key}, whose policy does not name" in told
        line = json.loads(told[told.index('{"Sid": "AllowVideoIntakeToDecrypt"') :].partition("}}}")[0] + "}}}")
        role = {one["OutputKey"]: one["OutputValue"] for one in scripts.stack(STACK)["Outputs"]}["RoleArn"]
        assert (line["Principal"], line["Action"]) == ({"AWS": role}, "kms:Decrypt")
        kms.put_key_policy(
            KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [line]})
        )
        assert "Warning" not in scripts.deploy("--bucket", BUCKET, env="bridged").told
    finally:
        s3.delete_bucket_encryption(Bucket=BUCKET)


def test_unusable_buckets_are_refused_before_anything_is_built(scripts, before):
    other = scripts.client("sts").assume_role(RoleArn="arn:aws:iam::111122223333:role/other", RoleSessionName="them")
    keys = other["Credentials"]
    theirs = {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]}
    theirs["AWS_SESSION_TOKEN"] = keys["SessionToken"]
    for environ, *make in ((theirs, "videos-of-somebody-else"), ({}, "videos-far-away", "--region", "eu-west-1")):
        command = ["aws", "s3", "mb", f"s3://{make[0]}", *make[1:]]
        subprocess.run(command, env=scripts.environ | environ, capture_output=True, check=True)
    account = scripts.client("sts").get_caller_identity()["Account"]
    for bucket, sentence in {
        "videos-of-somebody-else": "to another account, or these credentials lack s3:ListBucket",
        "videos-far-away": "is in eu-west-1, and S3 sends its events to EventBridge there",
        "videos-of-nobody": "bucket videos-of-nobody does not exist",
        f"video-intake-refused-{account}-{scripts.environ['AWS_REGION']}": "is the stack's own bucket",
    }.items():
        for option in (["--bucket", bucket], ["--parameter", f"ExistingBucketName={bucket}"]):
            refused = scripts.deploy("--yes", *option, env="refused")
            assert (refused.status, refused.out) == (1, "")
            assert sentence in refused.told
            assert "Uploading" not in refused.told
    assert not scripts.exists("video-intake-refused")


def test_a_prefix_without_a_bucket_is_refused_in_a_sentence(scripts, before):
    refused = scripts.deploy("--bucket-prefix", PREFIX, env="refused")
    assert refused.status == 1
    assert "ExistingBucketPrefix is set, but ExistingBucketName is empty." in refused.told
    assert not scripts.exists("video-intake-refused")


def test_after_removal_the_bucket_keeps_eventbridge_and_two_commands_turn_it_off(
    scripts, s3, before, bridged, tmp_path
):
    taken_out = scripts.deploy("--bucket", "", "--yes", env="bridged")
    assert taken_out.status == 0, taken_out.told
    assert scripts.parameters(STACK)["ExistingBucketPrefix"] == ""
    assert "DELETED          ExistingBucketRule (Events Rule)" in taken_out.told
    assert now(s3) == before | BRIDGE
    assert scripts.deploy("--bucket", BUCKET, "--yes", env="bridged").status == 0
    removed = scripts.run("destroy.sh", "--env", "bridged", "--delete-videos", "--yes")
    assert removed.status == 0, removed.told
    assert now(s3) == before | BRIDGE
    commands = [line.strip() for line in removed.told.splitlines() if line.startswith("  aws s3api")]
    (tmp_path / "scripts").symlink_to(scripts.project / "scripts")
    for command in commands:
        subprocess.run(["bash", "-c", command], cwd=tmp_path, env=scripts.environ, capture_output=True, check=True)
    assert now(s3) == before


# ---------------------------------------------------------------- The words and comparisons


def test_configurations_are_equal_despite_s3s_renaming_and_reordering():
    def of(*rules: tuple[str, str], events=("a", "b"), arn="q") -> dict:
        named = [{"Name": name, "Value": value} for name, value in rules]
        return {"QueueArn": arn, "Events": list(events), "Filter": {"Key": {"FilterRules": named}}}

    one = {"QueueConfigurations": [of(("prefix", "in/"), ("suffix", ".csv")), of(arn="r")]}
    same = {
        "QueueConfigurations": [
            of(arn="r") | {"Id": "made up"},
            of(("Suffix", ".csv"), ("Prefix", "in/"), events=("b", "a")),
        ]
    }
    assert notifications.comparable(one) == notifications.comparable(same | {"ResponseMetadata": {}})
    for other in (
        one | BRIDGE,
        {"QueueConfigurations": one["QueueConfigurations"][:1]},
        {"QueueConfigurations": [of(("prefix", "in"), ("suffix", ".csv")), of(arn="r")]},
        {"QueueConfigurations": [of(("prefix", "in/"), ("suffix", ".csv"), events=["a"]), of(arn="r")]},
        {"TopicConfigurations": [], "LambdaFunctionConfigurations": []},
    ):
        assert notifications.comparable(one) != notifications.comparable(other)


def test_every_destination_is_described():
    arns = {"TopicConfigurations": "TopicArn", "QueueConfigurations": "QueueArn",
            "LambdaFunctionConfigurations": "LambdaFunctionArn"}  # fmt: skip
    given = {kind: [{"Events": ["a", "b"], name: name}] for kind, name in arns.items()}
    assert notifications.described(given | BRIDGE) == [
        "a, b for * to the topic TopicArn",
        "a, b for * to the queue QueueArn",
        "a, b for * to the function LambdaFunctionArn",
        "all events to EventBridge",
    ]
    assert notifications.described({}) == ["none"]


@pytest.mark.parametrize(
    ("statement", "admitted"),
    [
        ({"Effect": "Allow", "Principal": {"AWS": "role"}, "Action": "kms:Decrypt"}, True),
        ({"Effect": "Allow", "Principal": {"AWS": ["other", "role"]}, "Action": ["kms:Encrypt", "kms:Decrypt*"]}, True),
        ({"Effect": "Allow", "Principal": {"AWS": "role"}, "Action": "kms:*"}, True),
        ({"Effect": "Deny", "Principal": {"AWS": "role"}, "Action": "kms:Decrypt"}, False),
        ({"Effect": "Allow", "Principal": {"AWS": "other"}, "Action": "kms:Decrypt"}, False),
        ({"Effect": "Allow", "Principal": {"AWS": "role"}, "Action": "kms:Encrypt"}, False),
        ({"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt"}, False),
        ({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "kms:Decrypt"}, False),
    ],
)
def test_whether_a_key_policy_admits_the_role(statement, admitted):
    assert notifications.admits({"Statement": statement}, "role") is admitted
