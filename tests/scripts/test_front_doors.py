"""How deploy.sh, destroy.sh and verify.sh handle their arguments and environment.

No call reaches AWS: `aws` is a fake that records its calls.
"""

import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.stack import wait_for
from tests.support.scripts import Ended

ROOT = Path(__file__).parents[2]
CHANGING = ("deploy.sh", "destroy.sh")
SCRIPTS = (*CHANGING, "verify.sh")
REGION = {"AWS_REGION": "eu-central-1"}
ENDPOINT = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
PRETENDS = """\
#!/usr/bin/env bash
if [ "$1" = --version ]; then echo "aws-cli/{version} Python/3.11.4 Linux/5.10 exe/x86_64"; exit; fi
echo "$*" >>{calls}
echo "The CLI was asked: $*" >&2
exit 255
"""


class Front:
    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, folder / "calls"

    def run(self, script: str, *arguments: str, version: str = "2.34.0", cwd: Path = ROOT, **environ: str) -> Ended:
        """Calls a script by its path from `cwd`, with a CLI of that version and an otherwise empty environment."""
        self.calls.write_text("")
        cli = self.folder / "aws"
        cli.write_text(PRETENDS.format(version=version, calls=self.calls))
        cli.chmod(0o755)
        command = [os.path.relpath(ROOT / "scripts" / script, cwd), *arguments]
        clean = {"PATH": f"{self.folder}:{os.environ['PATH']}", "HOME": str(self.folder)}
        clean["AWS_EC2_METADATA_DISABLED"] = "true"  # no credentials, regardless of the machine
        done = subprocess.run(
            command, cwd=cwd, env=clean | environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        assert "unbound variable" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def asked(self) -> list[str]:
        """The calls of the CLI, except for its version."""
        return self.calls.read_text().splitlines()


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--enviroment", "prod"], "unknown option: --enviroment. See --help."),
        (["--enviroment=prod"], "unknown option: --enviroment. See --help."),
        (["--enviroment"], "unknown option: --enviroment. See --help."),
        (["-x"], "unknown option: -x. See --help."),
        (["prod"], "unexpected argument: prod. See --help."),
        (["--env"], "--env needs a value. See --help."),
        (["--env", "--stack-name", "x"], "--env needs a value. See --help."),
        (["--region"], "--region needs a value. See --help."),
    ],
)
def test_a_wrong_option_is_reported_before_aws_is_called(front, script, arguments, sentence):
    refused = front.run(script, *arguments, **REGION)
    assert (refused.status, refused.out) == (1, "")
    assert refused.told == f"{script.removesuffix('.sh')}: {sentence}\n"
    assert front.asked() == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_value_of_an_option_may_follow_an_equals_sign(front, script):
    refused = front.run(script, "--env=prod", "--region=eu-west-3")
    assert "AWS did not accept your credentials; see the error above" in refused.told
    odd = front.run("deploy.sh", "--parameter=A=B=C", "--email=", "--tag", "x=--y", "--no-such=x", **REGION)
    assert odd.told == "deploy: unknown option: --no-such. See --help.\n", "and all before it are taken"


@pytest.mark.parametrize("script", CHANGING)
def test_help_and_readme_say_which_tools_it_needs(front, script):
    told = front.run(script, "--help")
    assert told.status == 0
    for need in ("1.29", "2.13", "Python 3.10", "bash 3.2"):
        assert need in told.out
        assert need in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("script", SCRIPTS)
def test_cdpath_has_no_effect(front, script, tmp_path):
    """Runs `project/scripts/deploy.sh` from the parent folder; CDPATH has a folder with the same name."""
    decoy = tmp_path / "decoy" / ROOT.name / "scripts"
    decoy.mkdir(parents=True)
    refused = front.run(script, cwd=ROOT.parent, CDPATH=f".:{tmp_path / 'decoy'}:{ROOT.parent}", **REGION)
    assert "No such file" not in refused.told
    assert "AWS did not accept your credentials" in refused.told


@pytest.mark.parametrize(
    ("version", "reads"),
    [("1.28.99", False), ("1.29.0", True), ("2.9.0", False), ("2.12.7", False), ("2.13.0", True), ("3.0.0", True)],
)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_cli_that_would_ignore_the_endpoint_is_refused(front, script, version, reads):
    done = front.run(script, version=version, **REGION, **ENDPOINT)
    assert (f"AWS CLI {version} ignores it" in done.told) is not reads
    assert bool(front.asked()) is reads, "it would have spoken to AWS itself"
    assert front.run(script, version=version, **REGION).told.startswith("The CLI was asked"), "without one it may"


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_endpoint_that_another_variable_disables_is_refused(front, script):
    done = front.run(script, **REGION, **ENDPOINT, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
    assert "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS makes the AWS CLI ignore it" in done.told
    assert front.asked() == []


ENVIRONMENT = """\
#!/usr/bin/env bash
echo "$AWS_REGION $AWS_DEFAULT_REGION pager=${{AWS_PAGER-more}} prompt=${{AWS_CLI_AUTO_PROMPT-on}}" >>{seen}
exit 255
"""


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("options", "region"), [([], "eu-west-1"), (["--region", "eu-west-2"], "eu-west-2")], ids=["variable", "option"]
)
def test_every_version_of_the_cli_uses_the_same_region_and_waits_for_nobody(script, options, region, tmp_path):
    cli, seen = tmp_path / "aws", tmp_path / "seen"
    cli.write_text(ENVIRONMENT.format(seen=seen))
    cli.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "AWS_REGION": "eu-west-1"}
    environ["AWS_DEFAULT_REGION"] = "eu-west-3"
    command = [str(ROOT / "scripts" / script), *options]
    assert subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True).returncode == 1
    assert seen.read_text().splitlines()[0] == f"{region} {region} pager= prompt=off"


# ---------------------------------------------------------------- The parts in scripts/shell, with a fake CLI

PARTS = """
root={root} work={work} account=123456789012 partition=aws region={region}
. {root}/scripts/shell/stack.sh
. {root}/scripts/shell/artifacts.sh
. {root}/scripts/shell/existing_bucket.sh
aws() {{ echo "$*" >>{work}/calls; case "$1 $2" in {cases} esac; }}
"""


@dataclass
class Sourced:
    """Runs functions of scripts/shell in bash, with the answers of the AWS CLI as cases of `"$1 $2"`."""

    work: Path

    def run(self, code: str, *cases: str, region: str = "eu-west-1") -> Ended:
        (self.work / "calls").write_text("")
        setting = PARTS.format(root=shlex.quote(str(ROOT)), work=self.work, region=region, cases="\n".join(cases))
        command = f"set -euo pipefail; . '{ROOT}/scripts/shell/session.sh'; {setting}\n{code}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
        return Ended(done.returncode, done.stdout, done.stderr)

    def calls(self, operation: str) -> list[str]:
        return [line for line in (self.work / "calls").read_text().splitlines() if f" {operation} " in line]


@pytest.fixture
def sourced(tmp_path: Path) -> Sourced:
    return Sourced(tmp_path)


@pytest.mark.parametrize(
    ("answer", "state", "tags"),
    [
        (
            "A\\tIN_SYNC\\tnow\\tprod\\tarm64\\nTeam\\tVideo Intake\\n",
            "A IN_SYNC now prod arm64",
            "Team\tVideo Intake\n",
        ),
        ("A\\tNOT_CHECKED\\tNone\\tNone\\tNone\\n", "A NOT_CHECKED None  ", ""),  # it only holds an imported bucket
    ],
    ids=["whole", "imported"],
)
def test_the_state_of_a_stack_is_read(sourced, tmp_path, answer, state, tags):
    read = 'echo "$status $drifted $drift_time $deployed_environment $deployed_architecture"'
    done = sourced.run(f"read_stack s; {read}", f"'cloudformation describe-stacks') printf '{answer}' ;;")
    assert (done.status, done.out) == (0, state + "\n"), done.told
    assert (tmp_path / "tags").read_text() == tags


def test_what_a_stack_does_not_have_is_empty(sourced):
    none = "'cloudformation describe-stacks') echo None ;;"
    refused = "'cloudformation describe-stack-events') return 254 ;;"
    done = sourced.run('stack=s; echo "<$(stack_output X)$(stack_parameter Y)>$(stack_events s)"', none, refused)
    assert (done.status, done.out) == (0, '<>{"StackEvents": []}\n')


NO_TAGS = "'s3api get-bucket-tagging') return 254 ;;"
MISSING = "'s3api head-bucket') echo 'An error occurred (404)' >&2; return 254 ;;"


@pytest.mark.parametrize(("region", "constrained"), [("us-east-1", False), ("eu-west-1", True)])
def test_only_other_regions_than_the_first_are_a_constraint(sourced, region, constrained):
    made = sourced.run("prepare_artifact_bucket packages yes", NO_TAGS, MISSING, region=region)
    assert made.status == 0, made.told
    [created] = sourced.calls("create-bucket")
    assert ("LocationConstraint" in created) is constrained
    assert not constrained or f"LocationConstraint={region}" in created


@pytest.mark.parametrize(
    ("location", "region", "place"),
    [
        ("None", "us-east-1", ""), ("EU", "eu-west-1", ""), ("eu-west-3", "eu-west-3", ""),
        ("None", "eu-west-1", "us-east-1"), ("EU", "us-east-1", "eu-west-1"),
    ],
)  # fmt: skip
def test_a_bucket_in_another_region_is_refused_by_s3s_old_names_too(sourced, location, region, place):
    located = f"'s3api get-bucket-location') echo {location} ;;"
    read = sourced.run("read_existing_bucket b", located, region=region)
    assert (read.status, f"is in {place}, and" in read.told) == ((1, True) if place else (0, False)), read.told
    if location != "EU":  # such a bucket is older than Lambda
        theirs = sourced.run("prepare_artifact_bucket b ''", NO_TAGS, located, region=region)
        assert (theirs.status, f"is in {place};" in theirs.told) == ((1, True) if place else (0, False)), theirs.told
        assert sourced.calls("put-bucket-policy") == []


@pytest.mark.parametrize(
    ("answer", "key", "warned"),
    [
        ("echo None", "", False),
        ("echo alias/aws/s3", "", False),
        ("echo arn:aws:kms:eu-west-1:123456789012:alias/aws/s3", "", False),
        ("echo arn:aws:kms:eu-west-1:123456789012:key/k", "arn:aws:kms:eu-west-1:123456789012:key/k", False),
        ("echo ServerSideEncryptionConfigurationNotFoundError >&2; return 254", "", False),
        ("echo AccessDenied >&2; return 254", "", True),
    ],
)
def test_only_a_key_of_the_users_own_is_looked_at(sourced, answer, key, warned):
    located, encrypted = "'s3api get-bucket-location') echo eu-west-1 ;;", f"'s3api get-bucket-encryption') {answer} ;;"
    read = sourced.run('read_existing_bucket b; echo "<$bucket_key>"', located, encrypted)
    assert (read.status, read.out, "Warning" in read.told) == (0, f"<{key}>\n", warned)
    assert all("--expected-bucket-owner 123456789012" in call for call in sourced.calls("head-bucket"))
    checked = sourced.run(f"bucket_key={key}; check_bucket_key b role '{key}'", "*) return 254 ;;")
    assert (checked.status, checked.told, sourced.calls("get-key-policy")) == (0, "", []), "the stack's own key"


def test_destinations_that_stay_are_not_sent_test_messages(sourced):
    configured = "'s3api get-bucket-notification-configuration') cat \"$work/current\" ;;"
    put = '\'s3api put-bucket-notification-configuration\') cp "$work/wanted" "$work/current" ;;'
    done = sourced.run(
        'echo {} >"$work/current"; echo {} >"$work/notifications"; turn_eventbridge_on b', configured, put
    )
    assert done.status == 0, done.told
    [call] = sourced.calls("put-bucket-notification-configuration")
    assert {"--skip-destination-validation", "--expected-bucket-owner"} <= set(call.split())


@pytest.mark.parametrize(("template", "kept"), [("s3://b/p/0a1b\nb/p/2c3d.template", ["0a1b*", "2c3d*"]), ("", None)])
def test_packages_are_deleted_only_if_it_is_known_which_are_used(sourced, tmp_path, template, kept):
    (tmp_path / "packaged.yaml").write_text(template)
    done = sourced.run(f"managed_artifacts=yes; retire_artifacts b p {tmp_path}/packaged.yaml")
    assert done.status == 0, done.told
    deleted = [re.findall(r"--exclude (\S+)", call) for call in sourced.calls("rm")]
    assert deleted == ([] if kept is None else [kept])


DELETING = """\
#!/usr/bin/env bash
echo "$*" >>{calls}
case "$1 $2" in
"sts get-caller-identity") printf '123456789012\\tarn:aws:iam::123456789012:user/x\\n' ;;
"cloudformation describe-stacks") printf 'DELETE_IN_PROGRESS\\tNOT_CHECKED\\tNone\\tdev\\tarm64\\n' ;;
"cloudformation list-stack-resources") echo '{{"StackResourceSummaries": []}}' ;;
"cloudformation describe-stack-events") echo '{{"StackEvents": []}}' ;;
"s3api head-bucket") echo '(404)' >&2 && exit 254 ;;
"sqs get-queue-attributes") echo 0.0 ;;
esac
"""


def test_a_removal_that_is_in_progress_is_waited_for(tmp_path):
    cli, calls = tmp_path / "aws", tmp_path / "calls"
    cli.write_text(DELETING.format(calls=calls))
    cli.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)} | REGION
    command = [str(ROOT / "scripts/destroy.sh"), "--yes"]
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "video-intake-dev is removed." in done.stderr) == (0, True), done.stderr
    asked = calls.read_text()
    assert "wait stack-delete-complete" in asked
    assert "delete-stack" not in asked
    assert "s3 rm" not in asked, "there is no bucket with packages"


HANGS = """\
#!/usr/bin/env bash
case "$1 $2" in
--version*) echo "aws-cli/2.34.0 Python/3.11.4" ;;
"sts get-caller-identity") printf '123456789012\\tarn:aws:iam::123456789012:user/x\\n' ;;
*) : >{begun} && exec sleep 60 ;;
esac
"""


@pytest.mark.parametrize("script", CHANGING)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_script_leaves_no_temporary_files(script, number, tmp_path):
    temporary, begun, cli = tmp_path / "tmp", tmp_path / "begun", tmp_path / "aws"
    temporary.mkdir()
    cli.write_text(HANGS.format(begun=begun))
    cli.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "TMPDIR": str(temporary)} | REGION
    with subprocess.Popen(
        [str(ROOT / "scripts" / script), "--yes"], env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup ignores it
    ) as running:  # fmt: skip
        wait_for("the first question", begun.exists)
        assert [path.name.split(".")[0] for path in temporary.iterdir()] == ["video-intake"]
        os.killpg(running.pid, number)  # to the script and its child processes, like a terminal
        assert running.wait(30) != 0
    assert list(temporary.iterdir()) == []
