"""What `make demo` and `make cloud` run. Nothing imports it."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "src")]  # where the function's own modules are
