"""Some hundreds of the cases; `make soak` runs them all."""

import pytest

from tests.truth.cases import chosen, faults
from tests.truth.films import FILMS

CASES = list(chosen())


@pytest.mark.parametrize("film", [film.name for film in FILMS])
def test_the_inspection_matches_the_known_content(film):
    answered, wrong = 0, []
    for case in CASES:
        if case.film.name == film and (told := case.told()):
            answered += 1
            wrong += [f"{case}: {'; '.join(found)}" for found in [faults(case, told)] if found]
    assert answered
    assert not wrong, "\n".join(["Again by: PYTHONPATH=src python -m tests.truth NAME", *wrong])


def test_the_same_name_gives_the_same_file():
    for case in CASES[::97]:
        assert case.told() == case.told()
