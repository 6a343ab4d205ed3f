"""The function's log, as `make demo` and `make cloud` show it."""

import json
import time

from scripts.log_lines import is_error, readable

FAULT = json.dumps({"level": "ERROR", "message": "Not processed", "key": "a.mp4", "exception": "Traceback ..."})
TIME_OUT = "2026-07-01T10:00:00.000Z 4711 Task timed out after 3.00 seconds\n"


def test_a_log_line_is_shortened_and_never_swallowed():
    assert readable(0, FAULT).endswith("  ERROR  Not processed  a.mp4\nTraceback ...")
    assert readable(0, TIME_OUT).endswith("Task timed out after 3.00 seconds")
    assert readable(0, "12").endswith("  12"), "JSON, but nothing of ours"
    assert readable(0, '{"_aws": {}}') is None
    assert [readable(0, f"{start} 4711") for start in ("START", "END", "INIT_START")] == [None] * 3
    assert readable(0, json.dumps({"key": "a\x1b"})).endswith("  a\N{REPLACEMENT CHARACTER}")
    at = 1_782_900_123
    assert readable(at * 1000, "x") == f"{time.strftime('%H:%M:%S', time.localtime(at))}  x"


def test_errors_are_distinguished_from_other_lines():
    assert is_error(FAULT)
    assert is_error(TIME_OUT)
    assert is_error("RequestId: 4711 Error: Runtime exited with error: signal: killed")
    assert not is_error(json.dumps({"level": "INFO", "message": "Processed", "key": "Error: a.mp4"}))
    assert not is_error("REPORT RequestId: 4711 Duration: 1 ms")
