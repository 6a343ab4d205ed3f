"""The cost of an inspection: the parts that differ between contestants."""

from typing import Final

from tools.benchmarks.race import Run

# List prices in us-east-1 as of 2026-11, in dollars
LAMBDA_GB_SECOND: Final = 0.0000133334  # arm64
LAMBDA_REQUEST: Final = 0.20 / 1e6
S3_GET: Final = 0.0004 / 1e3
LAMBDA_GB: Final = 1.0  # the memory of the function


def cost(run: Run) -> float:
    """Dollars for a thousand such videos."""
    return 1000 * (run.wall * LAMBDA_GB * LAMBDA_GB_SECOND + LAMBDA_REQUEST + run.requests * S3_GET)
