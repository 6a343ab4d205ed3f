"""How deploy.sh, destroy.sh and verify.sh handle their arguments and environment.

No call reaches AWS: `aws` is a fake that records its calls.
"""

import os
import signal
import subprocess
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
