"""Cases by number, and what must be true for each answer."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import SEEDS, seed
from tests.support.watched import MAX_MB, Answer, Fell, Watched
from video_intake import messages
from video_intake.media.verdicts import Reason

WATCHED_AT_ONCE: Final = 2
EXTENSIONS: Final = (".mp4", ".MOV", ".avi", "")


@dataclass(frozen=True)
class Case:
    """A broken video."""

    number: int
    seed: str
    content: bytes
    key: str
    storyboard: bool


def case(number: int) -> Case:
    """Always the same for the same number."""
    chance = Random(number)
    name = chance.choice(list(SEEDS))
    kin = [other for other in SEEDS if other.startswith("avi") == name.startswith("avi")]
    content = mutate(seed(name), chance, lambda: seed(chance.choice(kin)))
    return Case(number, name, content, f"case {number}{chance.choice(EXTENSIONS)}", chance.random() < 0.3)


def run(numbers: Iterable[int], valid: Callable[[Any], None]) -> Iterator[tuple[Case, Answer | Fell]]:
    """Yields each case with its answer or the inspector's failure, from two child processes."""
    children = [Watched() for _ in range(WATCHED_AT_ONCE)]

    def one(child: Watched, number: int) -> tuple[Case, Answer | Fell]:
        broken = case(number)
        try:
            answer = child.inspect(broken.content, broken.key, broken.storyboard)
            check(answer, valid)
        except Fell as fell:
            return broken, fell
        except AssertionError as error:
            return broken, Fell(str(error))
        return broken, answer

    def several(child: Watched, share: list[int]) -> list[tuple[Case, Answer | Fell]]:
        return [one(child, number) for number in share]

    remaining = list(numbers)
    with ThreadPoolExecutor(WATCHED_AT_ONCE) as pool, children[0], children[1]:
        while remaining:
            now, remaining = remaining[:100], remaining[100:]
            shares = [now[index::WATCHED_AT_ONCE] for index in range(WATCHED_AT_ONCE)]
            for done in pool.map(several, children, shares):
                yield from done


def check(answer: Answer, valid: Callable[[Any], None]) -> None:
    """Checks that any answer gives a valid result, text and JSON, with its pictures."""
    result = answer.result
    assert answer.verdict in {"success", *Reason}
    valid(result)
    json.dumps(result, ensure_ascii=False).encode()
    assert len(messages.message(result).encode()) < 256 << 10, "longer than SNS allows"
    subject = messages.subject(result)
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100
    named = [result[name]["key"] for name in ("poster", "storyboard") if result.get(name)]
    assert set(named) <= set(answer.pictures)
    assert all(answer.pictures.values())
    assert answer.peak < MAX_MB, f"took {answer.peak:.0f} MB"
