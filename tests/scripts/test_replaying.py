"""The command line of scripts/replay.py, and what it prints; tests/integration runs it on a deployed stack."""

import contextlib
import io
import re
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import replay
from scripts.replaying import batch_job, dead_letters, missing, progress, reprocess, versions
from scripts.replaying.progress import Progress
from scripts.stack import WrongUse
from tests.support.replayed import BOTH, FORGING, KEYS, OWN, T0
from video_intake import messages


@pytest.fixture
def far_away(monkeypatch):
    """In another time zone."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T10:00Z", T0),
        ("2026-07-01T12:00+02:00", T0),
        ("2026-07-01T10:00", T0),
        (None, None),
    ],
)
def test_dates_and_times_are_parsed(far_away, text, expected):
    assert replay.moment(text) == expected


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("36h", 36), ("7d", 168)])
def test_relative_times_are_parsed(text, hours):
    assert abs(datetime.now(UTC) - timedelta(hours=hours) - replay.moment(text)) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["yesterday", "7w", "", "-1d"])
def test_invalid_times_are_refused(text):
    with pytest.raises(WrongUse, match="is not a valid time"):
        replay.moment(text)


@pytest.fixture
def run(monkeypatch):
    """Only the command line: any call to AWS fails."""
    environ = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "x")
    environ |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), "/dev/null")
    for name, value in (environ | {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(replay.Stack, "output", lambda stack, name: pytest.fail(f"asked for {name}"))

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["replay.py", *arguments])
        try:
            return replay.main()
        except SystemExit as left:
            return left.code

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["dead-letters", "--no-such-option"],
        ["dead-letters", "--discard", "--yes"],
        ["missing", "--workers", "0"],
        ["missing", "--limit", "many"],
        ["missing", "--limit", "0"],
        ["missing", "--limit", "-1"],
        ["missing", "--since", "yesterday"],
        ["missing", "--profile", "no-such-profile"],
        ["reprocess"],
        ["reprocess", "--version", "v1"],
        ["reprocess", "--version", "v1", "--key", "a.mp4", "--key", "b.mp4"],
    ],
)
def test_wrong_use(run, arguments):
    assert run(*arguments) == 2


def test_a_missing_region_is_reported(run, monkeypatch, capsys):
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setattr(replay.Stack, "output", lambda stack, name: stack.client("cloudformation"))
    assert run("missing") == 2
    assert "region" in capsys.readouterr().err


def test_the_region_may_come_from_aws_region(run, monkeypatch):
    used = []
    monkeypatch.setattr(replay, "run_missing", lambda stack, given: used.append(stack.client("sqs").meta))
    run("missing", "--workers", "40")
    run("missing", "--region", "us-west-2")
    assert [meta.region_name for meta in used] == ["eu-west-1", "us-west-2"]
    assert used[0].config.max_pool_connections == 40, "workers do not wait for each other"
    assert used[0].config.retries["total_max_attempts"] > 5, "a large replay is throttled"


def test_an_infrastructure_failure_is_not_a_usage_error(run, stacked, capsys):
    assert run("reprocess", "--keys-from", "/no/such/file") == 1
    told = capsys.readouterr()
    assert (told.out, told.err.split(":")[:2]) == ("", ["replay", " FileNotFoundError"])


def test_an_interrupted_run_says_how_to_continue(run, monkeypatch, capsys):
    def interrupted(stack, given):
        raise KeyboardInterrupt

    monkeypatch.setattr(replay, "run_missing", interrupted)
    assert run("missing") == 1
    assert "Run the same command again to continue" in capsys.readouterr().err


@pytest.fixture
def stacked(monkeypatch):
    """The command line has a stack with two buckets."""
    monkeypatch.setattr(replay.Stack, "bucket", "b")
    monkeypatch.setattr(replay.Stack, "sources", BOTH)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 0),
        (["--yes", "--limit", "1", "--workers", "2"], 0),
        (["--stack", "another"], 2),
        (["--prefix", "in/"], 2),
        (["--since", "2026-07-02"], 2),
        (["--until", "2026-07-03"], 2),
        (["--bucket", "b"], 2),
    ],
    ids=str,
)
def test_a_run_is_continued_only_with_the_options_that_select_videos(
    run, stacked, monkeypatch, tmp_path, options, status
):
    limits = []
    state = ["--state", str(tmp_path / "state")]

    def first(stack, sources, chosen, bookmark, *, limit, **others):
        limits.append(limit)
        bookmark.write({})
        return 0

    monkeypatch.setattr(missing, "run", first)
    assert run("missing", *state, "--since", "2026-07-01", "--until", "2026-07-02") == 0
    monkeypatch.setattr(missing, "run", lambda stack, sources, chosen, bookmark, **others: len(bookmark.read()))
    assert run("missing", *state, "--since", "2026-07-01", "--until", "2026-07-02", *options) == status
    assert limits[0] >= 1 << 40, "without --limit, there is none"


WALKED = ["--prefix", "in/", "--since", "2026-07-01T10:00Z", "--until", "2026-07-02T10:00Z"]
SELECTED = versions.Selection("in/", T0, T0 + timedelta(days=1))


@pytest.mark.parametrize(
    ("arguments", "module", "selection", "passed"),
    [
        (["missing"], missing, versions.Selection(), {"apply": False, "workers": 16}),
        (["missing", "--yes", "--limit", "3", *WALKED], missing, SELECTED, {"apply": True, "limit": 3}),
        (["missing", "--bucket", "theirs"], missing, BOTH[1:], {}),
        (["batch"], batch_job, versions.Selection(), {"apply": False, "everything": False, "workers": 16}),
        (["batch", "--yes", "--all", *WALKED], batch_job, SELECTED, {"apply": True, "everything": True}),
        (["reprocess", "--key", "a.mp4"], reprocess, None, {"apply": False, "workers": 16}),
        (["reprocess", "--key", "a.mp4", "--yes", "--workers", "2"], reprocess, None, {"apply": True, "workers": 2}),
        (["reprocess", "--key", "a.mp4", "--rerun", "again"], reprocess, "again", {}),
        (["dead-letters"], dead_letters, None, {"apply": False, "discard": False}),
        (["dead-letters", "--yes"], dead_letters, None, {"apply": True, "discard": False}),
        (["dead-letters", "--discard", "--key", "a.mp4"], dead_letters, None, {"apply": False, "discard": True}),
        (["dead-letters", "--discard", "--reason", "x"], dead_letters, ["x"], {"discard": True}),
    ],
    ids=str,
)
def test_the_options_of_a_command_are_passed_on(run, stacked, monkeypatch, arguments, module, selection, passed):
    seen = []
    monkeypatch.setattr(module, "run", lambda stack, *given, **options: seen.append((given, options)) or 0)
    assert run(*arguments) == 0
    [(given, options)] = seen
    assert options.items() >= passed.items()
    assert selection is None or selection in given


def test_each_way_to_select_videos_is_passed_on(run, stacked, monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(reprocess, "newest", lambda stack, sources, prefix: [f"newest in {prefix!r}"])
    monkeypatch.setattr(reprocess, "run", lambda stack, sources, work, rerun, **options: given.append([*work]) or 0)
    (tmp_path / "keys").write_text("a\u2028\x0bb.mp4\tv1\nc.mp4\n", encoding="utf-8")
    assert run("reprocess", "--prefix", "") == 0
    assert run("reprocess", "--key", "a.mp4", "--version", "v1") == 0
    assert run("reprocess", "--key", "a.mp4", "--key", "b.mp4", "--prefix", "in/") == 0
    assert run("reprocess", "--keys-from", str(tmp_path / "keys")) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("d.mp4\n"))
    assert run("reprocess", "--keys-from", "-") == 0
    assert given == [
        ["newest in ''"],
        [("a.mp4", "v1", "")],
        [("a.mp4", "", ""), ("b.mp4", "", ""), "newest in 'in/'"],
        [("a\u2028\x0bb.mp4", "v1", ""), ("c.mp4", "", "")],
        [("d.mp4", "", "")],
    ]


def test_every_choice_of_dead_letters_is_passed_on(run, monkeypatch):
    given = []

    def keep(stack, *selected, workers, **options):
        given.append((stack.name, *selected, workers))
        return 0

    monkeypatch.setattr(dead_letters, "run", keep)
    assert run("dead-letters") == 0
    repeated = ["--key", "a.mp4", "--key", "b.mp4", "--reason", "x", "--reason", "y"]
    assert run("dead-letters", "--stack", "another", "--workers", "3", *repeated) == 0
    assert given == [("video-intake-dev", [], [], 16), ("another", ["a.mp4", "b.mp4"], ["x", "y"], 3)]


@pytest.mark.parametrize("command", ["dead-letters", "missing", "reprocess", "batch"])
def test_help(run, capsys, command):
    assert run("--help") == 0
    told = capsys.readouterr().out
    assert command in told
    assert "Exit status: 0" in told
    assert run(command, "--help") == 0
    assert "--yes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "rerun"), [([], ""), (["--all"], "the name of the run"), (["--all", "--rerun", "again"], "again")]
)
def test_a_job_for_all_gets_new_results(run, monkeypatch, arguments, rerun):
    """Without a rerun name, those with a result would be duplicates."""
    given = []
    monkeypatch.setattr(replay, "named", lambda command: "the name of the run")
    monkeypatch.setattr(replay, "sources_of", lambda stack, given: OWN)
    monkeypatch.setattr(
        batch_job, "run", lambda stack, sources, chosen, name, again, **options: given.append(again) or 0
    )
    assert run("batch", *arguments) == 0
    assert given == [rerun]


def test_two_runs_have_two_names():
    first, second = (replay.named("reprocess") for _ in range(2))
    assert first != second
    assert re.fullmatch(r"reprocess-\d{8}T\d{6}Z-[0-9a-f]{4}", first)


@given(st.lists(KEYS | st.sampled_from(FORGING), max_size=4))
def test_every_printed_key_is_one_line_and_can_be_parsed_again(found):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for key in found:
            Progress().found(key, "v1", "b")
    lines = out.getvalue().split("\n")[:-1]
    assert len(lines) == len(found)
    assert list(reprocess.listed(lines)) == [(key, "v1", "b") for key in found]
    assert all(messages.visible(part) == part for line in lines for part in line.split("\t"))


def test_a_failure_is_one_line_on_stderr(capsys):
    Progress().failed("a\n\x1b[31m.mp4", OSError("b\nc"))
    told, unsafe = capsys.readouterr(), "\N{REPLACEMENT CHARACTER}"
    assert (told.out, told.err) == ("", f"a{unsafe}{unsafe}[31m.mp4: OSError: b{unsafe}c\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stderr", "wiped", "seconds", "end"), [(Terminal, "\r\x1b[K", 0.2, ""), (io.StringIO, "", 10, "\n")]
)
def test_counts_are_shown_regularly(monkeypatch, stderr, wiped, seconds, end):
    now, err = [0.0], stderr()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("sys.stderr", err)
    shown = Progress()
    for _ in range(4):
        now[0] += seconds / 2
        shown.count("seen")
    shown.summary("That is all.")
    twice = [f"{wiped}{2 * n} seen after {n * seconds:.0f} s{end}" for n in (1, 2)]
    assert err.getvalue() == "".join(twice) + f"{wiped}4 seen. That is all.\n"
