"""Runs the deployment scripts as a user does: with the real AWS CLI, in a folder whose name has a space.

The template is the real one. The package has a stand-in for the function, which is never invoked; integration tests
deploy the real one.
"""

import os
import pty
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tools.localcloud.deployment import FOR_THIS_MACHINE, environ_of

ROOT = Path(__file__).parents[2]


@dataclass
class Ended:
    status: int
    out: str
    told: str  # stderr
    stack: dict = field(default_factory=dict)  # as described afterwards, if it is needed


@dataclass
class Scripts:
    """Runs a script against the local cloud, and checks the outcome."""

    deployed: object
    project: Path
    tools: Path  # with the AWS CLI
    environ: dict = field(default_factory=dict)

    def __post_init__(self):
        self.environ = environ_of(self.deployed.cloud, self.tools)

    def run(self, script, *arguments, answer=None, without=(), **environ):
        """With an `answer`, stdin is a terminal on which it is typed."""
        environment = {key: value for key, value in (self.environ | environ).items() if key not in without}
        command = [str(self.project / "scripts" / script), *arguments]
        terminal, stdin = pty.openpty() if answer is not None else (None, subprocess.DEVNULL)
        if terminal is not None:
            os.write(terminal, f"{answer}\n".encode())
        try:
            done = subprocess.run(
                command, cwd="/", env=environment, stdin=stdin, capture_output=True, text=True, check=False,
                timeout=300,
            )  # fmt: skip
        finally:
            if terminal is not None:
                os.close(terminal)
                os.close(stdin)
        assert "unbound variable" not in done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def with_cli(self, folder, *cases):
        """PATH for `run`, with an AWS CLI that runs the shell `cases` before or instead of the real one."""
        command = folder / "aws"
        real = self.tools / "aws"
        command.write_text(
            "\n".join(["#!/usr/bin/env bash", 'case "$1 $2" in', *cases, "esac", f'exec "{real}" "$@"', ""])
        )
        command.chmod(0o755)
        return f"{folder}{os.pathsep}{self.environ['PATH']}"

    def deploy(self, *arguments, env="made", **options):
        return self.run("deploy.sh", "--env", env, *FOR_THIS_MACHINE, *arguments, **options)

    def client(self, service):
        return self.deployed.client(service)

    def stack(self, name):
        [found] = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        return found

    def exists(self, name):
        listed = self.client("cloudformation").list_stacks()["StackSummaries"]
        return any(each["StackName"] == name and each["StackStatus"] != "DELETE_COMPLETE" for each in listed)

    def parameters(self, name):
        return {each["ParameterKey"]: each["ParameterValue"] for each in self.stack(name)["Parameters"]}

    def events(self, name):
        return self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]

    def left(self, name):
        """The state that a script must not change."""
        sets = self.client("cloudformation").list_change_sets(StackName=name)["Summaries"]
        waiting = [each["ChangeSetId"] for each in sets if each["ExecutionStatus"] != "EXECUTE_COMPLETE"]
        return self.stack(name), [event["EventId"] for event in self.events(name)], waiting

    def put(self, **state):
        self.deployed.cloud.control("POST", "stack", **state)


def project(folder: Path) -> Path:
    """A copy of the files that the scripts need."""
    folder.mkdir()
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", folder)
    (folder / "src").mkdir()
    (folder / "src/handler.py").write_text("def handler(event, context): ...\n")
    for name in ("requirements.txt", "wheels.txt"):
        (folder / "src" / name).write_text("")
    return folder
