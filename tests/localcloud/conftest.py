"""One local cloud and one stack for all of these tests, deployed with the AWS CLI."""

import pytest

from tests.support.deployed import TEMPLATE, Deployed


@pytest.fixture(scope="package")
def deployed(local_cloud, warm_cli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("localcloud")
    with local_cloud(folder / "state", retry_delay=0.1) as cloud:
        stack = Deployed(cloud, folder, warm_cli, {})
        stack.client("s3").create_bucket(
            Bucket="artifacts",
            CreateBucketConfiguration={"LocationConstraint": cloud.environ["AWS_REGION"]},
        )
        done = stack.deploy(TEMPLATE, "test", "Email=someone@example.com")
        assert done.returncode == 0, done.stdout + done.stderr + (cloud.state / "server.log").read_text()
        [described] = stack.client("cloudformation").describe_stacks(StackName="test")["Stacks"]
        stack.outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        yield stack
