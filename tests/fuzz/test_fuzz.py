"""A few hundred broken videos; `make soak` runs thousands more."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.fuzz.cases import case, run
from tests.fuzz.mutations import File, mutate
from tests.fuzz.seeds import SEEDS, seed
from tests.support.watched import Fell, Watched

CASES = range(400)


def test_no_broken_video_breaks_the_inspector(valid):
    answers = list(run(CASES, valid))
    fallen = [f"case {broken.number}: {answer}" for broken, answer in answers if isinstance(answer, Fell)]
    assert not fallen, "\n".join(["Again by: PYTHONPATH=src python -m tests.fuzz NUMBER", *fallen])
    verdicts = {answer.verdict for _, answer in answers}
    assert verdicts >= {"success", "undecodable", "truncated", "no-frames", "unsupported-codec", "not-a-video"}


@pytest.fixture(scope="module")
def child() -> Iterator[Watched]:
    with Watched() as child:
        yield child


@pytest.mark.parametrize("name", SEEDS)
def test_a_parsed_file_is_written_back_unchanged(child, name):
    file = File.parse(seed(name))
    assert len(file.nodes()) > 15
    assert file.write() == seed(name)
    assert child.inspect(seed(name)).verdict == "success"


def test_the_same_number_gives_the_same_case():
    assert case(7) == case(7)
    assert len({case(number).content for number in range(50)}) > 40


def test_a_nearly_empty_video_can_be_changed():
    box = (8).to_bytes(4, "big") + b"free"
    assert len({mutate(box, Random(number), lambda: box) for number in range(100)}) > 1
