"""Some hundreds of the cases; `make soak` runs them all."""

import pytest

from tests.truth.cases import chosen, faults
from tests.truth.films import FILMS

CASES = list(chosen())


@pytest.mark.parametrize("film", [film.name for film in FILMS])
def test_the_answer_is_the_truth(film):
    answered, wrong = 0, []
    for case in CASES:
        if case.film.name == film and (told := case.told()):
            answered += 1
            wrong += [f"{case}: {'; '.join(found)}" for found in [faults(case, told)] if found]
    assert answered
    assert not wrong, "\n".join(["Again by: PYTHONPATH=src python -m tests.truth NAME", *wrong])


def test_a_name_is_a_file_always():
    for case in CASES[::97]:
        assert case.told() == case.told()
