"""Filter patterns, each with lines that match and lines that do not; the rules are those of AWS's documentation."""

import json

import pytest
from moto.logs.exceptions import InvalidParameterException

from tools.localcloud.log_filters import matcher

FAILED = json.dumps({"level": "INFO", "key": "a/b [1].mov", "status": "failure", "size": 5, "tags": ["x"], "x": None})
WORKED = json.dumps({"level": "INFO", "key": "c.mp4", "status": "success", "size": 50})
PLAIN = "2026-11-22 ERROR Task timed out"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", [FAILED, WORKED, PLAIN]),
        ("ERROR", [PLAIN]),
        ('"timed out" Task', [PLAIN]),
        ('"timed out" INFO', []),
        ("?ERROR ?success", [WORKED, PLAIN]),
        ("-INFO", [PLAIN]),
        ('{ $.status = "failure" }', [FAILED]),
        ("{ $.status = success }", [WORKED]),
        ('{ $.status != "failure" }', [WORKED]),
        ('{ $.key = "a/b [1]*" }', [FAILED]),
        ('{ $.key = "*.mp4" || $.size < 6 }', [FAILED, WORKED]),
        ('{ $.level = "INFO" && ($.size >= 50 || $.none = 1) }', [WORKED]),
        ("{ $.size = 5 }", [FAILED]),
        ('{ $.tags[0] = "x" }', [FAILED]),
        ('{ $["status"] = "failure" }', [FAILED]),
        ("{ $.x IS NULL }", [FAILED]),
        ("{ $.x NOT EXISTS }", [WORKED]),
    ],
)
def test_patterns(pattern, expected):
    matches = matcher(pattern)
    assert [line for line in (FAILED, WORKED, PLAIN) if matches(line)] == expected


@pytest.mark.parametrize(
    "pattern", ["%ERR.*%", "[ip, user]", "{ $.a = }", "{ $.a ~ 1 }", "{ ($.a = 1 }", "{ $.a > x }"]
)
def test_what_is_not_understood_is_refused(pattern):
    with pytest.raises(InvalidParameterException):
        matcher(pattern)


def test_the_cli_asks_by_pattern_and_for_the_accounts_concurrency(deployed):
    deployed.upload("patterns.mp4")
    deployed.result("patterns.mp4")
    group = deployed.outputs["Log"]
    asked = ("logs", "filter-log-events", "--log-group-name", group, "--filter-pattern")
    started = json.loads(deployed.aws(*asked, '"START RequestId"').stdout)["events"]
    assert started
    assert all(event["message"].startswith("START") for event in started)
    assert json.loads(deployed.aws(*asked, '{ $.nothing = "at all" }').stdout)["events"] == []
    refused = deployed.aws(*asked, "[a, b]")
    assert "InvalidParameterException" in refused.stderr
    settings = json.loads(deployed.aws("lambda", "get-account-settings").stdout)
    assert settings["AccountUsage"]["FunctionCount"] >= 1
    assert (
        settings["AccountLimit"]["UnreservedConcurrentExecutions"] <= settings["AccountLimit"]["ConcurrentExecutions"]
    )
