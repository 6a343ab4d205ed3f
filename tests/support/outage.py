"""Outages of a deployed function."""

from collections.abc import Iterator
from contextlib import contextmanager

from scripts.stack import Stack


@contextmanager
def broken(intake: Stack) -> Iterator[None]:
    """An outage: the function cannot find its table."""
    client, name = intake.client("lambda"), intake.outputs["FunctionName"]
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def configure(environment: dict[str, str]) -> None:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": environment})
        client.get_waiter("function_updated_v2").wait(FunctionName=name)

    configure(variables | {"IDEMPOTENCY_TABLE": "video-intake-no-such-table"})
    try:
        yield
    finally:
        configure(variables)
