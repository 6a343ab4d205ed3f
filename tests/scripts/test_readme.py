"""The README: its figures match docs/cost.md and docs/benchmarks.md, and its AWS commands work."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tools.localcloud.deployment import environ_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COST, BENCHMARKS = ((ROOT / "docs" / name).read_text() for name in ("cost.md", "benchmarks.md"))


def cells(text: str, beginning: str) -> list[str]:
    """The cells of the table row with this beginning."""
    [row] = [line for line in text.splitlines() if line.startswith(f"| {beginning}")]
    return [cell.strip(" *") for cell in row.strip("|").split("|")]


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_its_costs_match_the_cost_page():
    assert cells(README, "Processing per month")[1:] == cells(COST, "**Processing**")[2:]
    assert "1,500 videos of 200 MB a day" in COST


def test_its_times_match_the_benchmark():
    first = BENCHMARKS.index("**1 GB .mov")
    rows = BENCHMARKS[first:].splitlines()[:2]
    ours, download = (float(re.search(r"([\d,]+) ms", row)[1].replace(",", "")) for row in rows)
    assert cells(README, "Time for a 1 GB video")[1:3] == [f"{ours / 1000:.2g} s", f"{download / 1000:.2g} s"]


def commands() -> str:
    """The commands for other deployment pipelines."""
    return re.search(r"```sh\nmake package\n(.*?)```", README, re.DOTALL)[1].replace("\\\n", " ")


def test_the_plain_commands_deploy_a_stack(scripts):
    """The only deployment with the AWS CLI as it is installed: all others use one that starts immediately."""
    region = {"LocationConstraint": scripts.environ["AWS_REGION"]}
    scripts.client("s3").create_bucket(Bucket="plain", CreateBucketConfiguration=region)
    environ = environ_of(scripts.deployed.cloud)
    package = f"{shlex.quote(sys.executable)} scripts/build_package.py"  # make package
    text = commands().replace("YOUR-ARTIFACT-BUCKET", "plain").replace("prod", "plain")
    for line in [package, *text.strip().splitlines()]:
        done = subprocess.run(
            shlex.split(line), cwd=scripts.project, env=environ, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
    stack = scripts.stack("video-intake-plain")
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert outputs["BucketName"].startswith("video-intake-plain-")
    assert {each["ParameterValue"] for each in stack["Parameters"]} >= {"plain", "ops@example.com"}
