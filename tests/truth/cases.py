"""Every video from every writer with every lie, and what must be true for the answer."""

import re
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
from video_intake.media.facts import Poster, Storyboard
from video_intake.media.inspector import Limits, inspect
from video_intake.media.verdicts import Rejected

FAMILIES: Final[dict[str, tuple[dict[str, Writer], dict[str, Lie]]]] = {
    "indexed": (writers.INDEXED, MP4_LIES),
    "fragmented": (writers.FRAGMENTED, FRAGMENT_LIES),
    "avi": (writers.AVI, AVI_LIES),
}
WITH_STORYBOARD: Final = ("no lie", "no tfdt", "twice described", "index of indexes", "zeros")


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
        """The file; None if the muxer does not support the codec, or the lie does not apply."""
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
    """All cases, for each random seed."""
    for film in FILMS:
        for family, (ways, lies) in FAMILIES.items():
            for writer in ways:
                for seed in seeds:
                    for lie in lies:
                        yield Case(family, film, writer, lie, seed)
                        yield Case(family, film, writer, lie, seed, far=True)


def chosen() -> Iterator[Case]:
    """One case for each lie and writer, alternating near and far and through the videos: some hundreds."""
    number = 0
    for family, (ways, lies) in FAMILIES.items():
        for writer in ways:
            for lie in lies:
                yield Case(family, FILMS[number % len(FILMS)], writer, lie, 0, far=bool(number // len(FILMS) % 2))
                number += 1


def faults(case: Case, told: Told) -> list[str]:
    """Describes what is wrong with the answer."""
    try:
        with far() if case.far else nullcontext():
            found = inspect(File(told.content).reader(), Limits(storyboard=case.lie in WITH_STORYBOARD))
    except Rejected as rejected:
        if rejected.reason in told.verdicts:
            return []
        return [f"{rejected.reason}: {rejected.message} {rejected.evidence}"]
    if "success" not in told.verdicts:
        return ["playable"]
    if len(told.verdicts) > 1:  # it is impossible to know how much is missing
        return []
    film, wrong = case.film, []
    seconds, count = film.seconds * told.copies - told.skipped, film.count * told.copies
    duration = found.container.duration
    about = 0 if told.noticed_afar or not case.far else 0.06 * count
    allowed = max(0.03 * seconds, 1.1 / film.rate, about / film.rate)
    if duration is None or abs(duration - seconds) > allowed + (0.15 * told.copies if film.sound else 0):
        wrong.append(f"duration {duration} instead of {seconds:.2f}")
    rate = found.video.frame_rate
    numerator, denominator = map(int, rate.split("/")) if rate else (0, 1)
    guessed = case.far and film.uneven  # of the few frames that were seen
    if guessed and told.copies > 1:  # bytes do not show how long the rest is
        return []
    if not guessed and abs(numerator / denominator - film.frame_rate) > 0.03 * film.frame_rate:
        wrong.append(f"rate {rate} instead of {film.frame_rate:.2f}")
    if not guessed and found.video.frames is not None and abs(found.video.frames - count) > about:
        wrong.append(f"{found.video.frames} frames instead of {count}")
    wrong += _poster(film, found.poster, about, told)
    if found.storyboard:
        wrong += _storyboard(film, found.storyboard, seconds, about)
    if told.warned is not None and bool(found.warnings) != told.warned:
        wrong.append(f"warnings: {found.warnings}")
    return wrong


def _poster(film: Film, poster: Poster | None, about: float, told: Told) -> list[str]:
    if poster is None:
        return ["no poster"]
    number = numbered.in_jpeg(poster.jpeg)
    if number is None:
        return ["nothing to be read in the poster"]
    if not max(film.dark, (told.skipped - 0.1) * film.rate - 3) <= number < film.count:
        return [f"picture {number} in the poster"]
    if poster.time is None or not any(
        _fits(film, number, poster.time + told.skipped - film.seconds * at, about) for at in range(told.copies)
    ):
        return [f"poster.time {poster.time}, but picture {number} of {float(film.times[number]):.3f}"]
    return []


def _fits(film: Film, number: int, time: float, about: float) -> bool:
    """Whether the picture with that number may have that time."""
    # Without an edit list, the first picture is shown after as many as the encoder reorders
    late = 2.1 if "bframes=0" not in str(film.options) else 0.6
    return -0.6 - film.early - about <= (time - float(film.times[number])) * film.rate <= late + about


def _storyboard(film: Film, sheet: Storyboard, seconds: float, about: float) -> list[str]:
    """Checks that its pictures match the times in its cues and cover the video in order."""
    size = sheet.tile_width, sheet.tile_height
    numbers = numbered.in_tiles(sheet.jpeg, size, sheet.columns, sheet.frames)
    times = [_seconds(start) for start in re.findall(r"([\d:.]+) -->", sheet.vtt)]
    ends = [_seconds(end) for end in re.findall(r"--> ([\d:.]+)", sheet.vtt)]
    wrong = []
    if film.dark or film.refreshed:  # a picture may have no number
        return wrong
    if None in numbers or numbers != sorted(set(numbers)):
        wrong.append(f"storyboard of {numbers}")
    elif not all(_fits(film, number, time, about) for number, time in list(zip(numbers, times, strict=True))[1:]):
        wrong.append(f"storyboard of {numbers} at {times}")
    if abs(ends[-1] - seconds) > max(0.05 * seconds, 1.1 / film.rate):
        wrong.append(f"storyboard until {ends[-1]} of {seconds:.2f}")
    return wrong


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
