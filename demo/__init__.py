"""The programs behind `make demo` and `make cloud`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "src")]  # where the function's own modules are
