"""Writes that run in parallel."""

import threading

import pytest

from video_intake import publisher


def fail() -> None:
    raise OSError("refused")


def test_all_writes_run_at_the_same_time():
    together = threading.Barrier(5)
    publisher.in_parallel([lambda: together.wait(30)] * 5)


def test_an_error_is_raised_after_every_write_has_ended():
    returned, early = threading.Event(), []
    with pytest.raises(OSError, match="refused"):
        publisher.in_parallel([fail, lambda: early.append(returned.wait(0.3))])
    returned.set()
    assert early == [False], "the write still ran when in_parallel returned"


def test_no_error_is_lost():
    with pytest.raises(OSError, match="refused"):
        publisher.in_parallel([lambda: None, fail])
