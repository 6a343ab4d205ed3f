"""tools/words.py finds each phrase of its table, in every kind of file, and nothing in correct sentences."""

from pathlib import Path

import pytest

from tools import words

ROOT = Path(__file__).parents[2]

# One example for each phrase of the table, in its order.
WRONG = (
    "This is no video.",
    "It failed so many times.",
    "Its log tells why.",
    "It asks nobody.",
    "It stands beside the queue.",
    "The code behind it is old.",
    "The results lie in a bucket.",
    "It is sent to whoever subscribes.",
    "It has a queue of its own.",
    "It restarts by itself.",
    "The alarm rings at night.",
    "Each video comes to its outcome.",
    "It is a fault of the world.",
    "See what became of it.",
    "The index is built anew.",
    "The same command goes on.",
    "It failed; the reason is above.",
    "The colour is wrong.",
)
RIGHT = (
    "This is not a video, and there is no video in it.",
    "It is no longer needed, and there are so many that it is slow.",
    "Tell the owner. The error shows why.",
    "The tables are next to each other, and the script lies to no one.",
    "Anyone who subscribes gets a separate queue, or brings your queue.",
    "The alarm notifies you. A string and a ring buffer are fine.",
    "Colors, behavior, licenses and centers are American.",
)


def complaints(folder: Path, name: str, text: str) -> list[str]:
    file = folder / name
    file.write_text(text)
    return list(words.complaints(file))


def test_each_phrase_has_an_example():
    assert [
        [n for n, phrase in enumerate(words.PHRASES) if words.re.search(phrase, text, words.re.I)] for text in WRONG
    ] == [[n] for n in range(len(words.PHRASES))]


@pytest.mark.parametrize("text", WRONG)
def test_a_phrase_is_found_wherever_people_read_it(text, tmp_path):
    wrapped = text.replace(" ", "\n")
    commented = "# " + text.replace(" ", "\n# ")
    for name, content in (("a.md", text), ("b.md", wrapped), ("c.yaml", commented), ("d.py", f"# {text}\n")):
        assert len(complaints(tmp_path, name, content)) == 1, name
    assert complaints(tmp_path, "e.py", f'\n"""Says:\n\n{text}"""\n')[0].startswith(f"{tmp_path / 'e.py'}:4: ")
    assert len(complaints(tmp_path, "f.py", f'x = f"{{y}} {text}"\n')) == 1


def test_names_of_tests_are_checked_and_other_names_are_not(tmp_path):
    assert len(complaints(tmp_path, "a.py", "def test_a_cover_is_no_video():\n    grey = 1\n")) == 1


@pytest.mark.parametrize("text", RIGHT)
def test_correct_sentences_pass(text, tmp_path):
    assert complaints(tmp_path, "a.md", text) == complaints(tmp_path, "a.py", f"# {text}\n") == []


def test_each_exception_is_a_file_with_a_reason_and_needs_it():
    for name, reason in words.EXCEPTIONS.items():
        assert reason
        assert (ROOT / name).is_file()
    assert words.main(list(words.EXCEPTIONS)) == 0
    assert [name for name in words.EXCEPTIONS if not list(words.complaints(ROOT / name))] == []
