"""Every film by every writer with every lie, and what must be true of the answer."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

from tests.support import numbered
from tests.support.files import File
from tests.truth import writers
from tests.truth.avi_lies import AVI_LIES
from tests.truth.far import far
from tests.truth.films import FILMS, Film
from tests.truth.lies import FRAGMENT_LIES, MP4_LIES, Lie, Told
from tests.truth.writers import Writer
from video_intake.media.facts import Poster
from video_intake.media.inspector import Limits, inspect
from video_intake.media.verdicts import Rejected

FAMILIES: Final[dict[str, tuple[dict[str, Writer], dict[str, Lie]]]] = {
    "indexed": (writers.INDEXED, MP4_LIES),
    "fragmented": (writers.FRAGMENTED, FRAGMENT_LIES),
    "avi": (writers.AVI, AVI_LIES),
}


@dataclass(frozen=True)
class Case:
    """One file."""

    family: str
    film: Film
    writer: str
    lie: str
    seed: int
    far: bool = False  # whether it is treated as a large file: see far.py

    def __str__(self) -> str:
        return f"{self.family}/{self.film.name}/{self.writer}/{self.lie}/{self.seed}{'/far' if self.far else ''}"

    def told(self) -> Told | None:
        """The file; None where the muxer does not know the codec, or the lie does not apply."""
        written = _written(self.family, self.film.name, self.writer)
        lie = FAMILIES[self.family][1][self.lie]
        return written and lie(written, Random(f"{self}".removesuffix("/far")))


@cache
def _written(family: str, film: str, writer: str) -> bytes | None:
    wanted = next(each for each in FILMS if each.name == film)
    try:
        return FAMILIES[family][0][writer](wanted)
    except ValueError as error:
        if "does not support" in str(error) or "Invalid argument" in str(error):
            return None
        raise


def every(seeds: range) -> Iterator[Case]:
    """All cases, for each of the seeds of chance."""
    for film in FILMS:
        for family, (ways, lies) in FAMILIES.items():
            for writer in ways:
                for seed in seeds:
                    for lie in lies:
                        yield Case(family, film, writer, lie, seed)
                        yield Case(family, film, writer, lie, seed, far=True)


def faults(case: Case, told: Told) -> list[str]:
    """What is wrong with the answer."""
    try:
        with far() if case.far else nullcontext():
            found = inspect(File(told.content).reader(), Limits())
    except Rejected as rejected:
        return (
            [] if rejected.reason in told.verdicts else [f"{rejected.reason}: {rejected.message} {rejected.evidence}"]
        )
    if "success" not in told.verdicts:
        return ["playable"]
    if len(told.verdicts) > 1:  # nobody can know how much is missing
        return []
    film, wrong = case.film, []
    duration = found.container.duration
    allowed = max(0.03 * film.seconds, 1.1 / film.rate)
    if duration is None or abs(duration - film.seconds) > allowed + (0.15 if film.sound else 0):
        wrong.append(f"duration {duration} instead of {film.seconds:.2f}")
    rate = found.video.frame_rate
    numerator, denominator = map(int, rate.split("/")) if rate else (0, 1)
    guessed = case.far and film.uneven  # of the few frames that were seen
    if not guessed and abs(numerator / denominator - film.frame_rate) > 0.03 * film.frame_rate:
        wrong.append(f"rate {rate} instead of {film.frame_rate:.2f}")
    about = 0 if told.noticed_afar or not case.far else 0.06 * film.count
    if not guessed and found.video.frames is not None and abs(found.video.frames - film.count) > about:
        wrong.append(f"{found.video.frames} frames instead of {film.count}")
    wrong += _poster(film, found.poster, about)
    if told.warned is not None and bool(found.warnings) != told.warned:
        wrong.append(f"warnings: {found.warnings}")
    return wrong


def _poster(film: Film, poster: Poster | None, about: float) -> list[str]:
    if poster is None:
        return ["no poster"]
    number = numbered.in_jpeg(poster.jpeg)
    if number is None:
        return ["nothing to be read in the poster"]
    if not film.dark <= number < film.count:
        return [f"picture {number} in the poster"]
    # Without an edit list the first picture is shown when as many were decoded as the encoder reorders
    late = 2.1 if "bframes=0" not in str(film.options) else 0.6
    apart = (poster.time or 0.0) * film.rate - float(film.times[number]) * film.rate
    if poster.time is None or not -0.6 - film.early - about <= apart <= late + about:
        return [f"poster.time {poster.time}, but picture {number} of {float(film.times[number]):.3f}"]
    return []
