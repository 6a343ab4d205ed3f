import resource
import sys
import threading

import pytest

from video_intake.media import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts so")

MB = 1 << 20
MORE = 4096 * MB  # than tests may have left free in this process


def test_nobody_gets_more_than_the_ceiling():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.ceiling(MB), pytest.raises(MemoryError):
        bytearray(MORE)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_the_ceiling_goes_with_an_error():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(ZeroDivisionError), memory.ceiling(MB):
        raise ZeroDivisionError
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_threads_start_where_it_is_lifted():
    started = []
    with memory.ceiling(MB):
        with memory.lifted():
            threads = [threading.Thread(target=started.append, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        with pytest.raises(MemoryError):
            bytearray(MORE)
    assert sorted(started) == list(range(8))


def test_the_ceiling_is_back_when_the_last_thread_has_left():
    """One lifts it while another does, and leaves first: what it found was no ceiling, and must not be brought back."""
    with memory.ceiling(64 * MORE):
        ceiling = resource.getrlimit(resource.RLIMIT_DATA)
        first, second = memory.lifted(), memory.lifted()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert resource.getrlimit(resource.RLIMIT_DATA) != ceiling, "one is still within"
        second.__exit__(None, None, None)
        assert resource.getrlimit(resource.RLIMIT_DATA) == ceiling
