"""The result document is the same as types, as a schema, and in inspections."""

import json
import typing
from dataclasses import fields

import pytest

from tests.support.outcomes import REJECTIONS
from video_intake import document
from video_intake.media import facts
from video_intake.media.verdicts import Reason

TYPES = {
    "source": document.Source,
    "inspection": document.Cost,
    "failure": document.Failure,
    "container": document.Container,
    "video": document.Video,
    "poster": document.Poster,
    "storyboard": document.Storyboard,
}
FACTS = {document.Container: facts.Container, document.Video: facts.Video, document.Audio: facts.Audio}


@pytest.fixture(scope="module")
def schema(project):
    return json.loads((project / "docs/result.schema.json").read_text())


def test_the_schema_has_what_the_types_have(schema):
    properties = schema["properties"]
    assert properties.keys() == document.Result.__annotations__.keys()
    for name, declared in TYPES.items():
        assert properties[name]["properties"].keys() == declared.__annotations__.keys(), name
    assert properties["audio"]["items"]["properties"].keys() == document.Audio.__annotations__.keys()
    chapter = properties["container"]["properties"]["chapters"]["items"]
    assert chapter["properties"].keys() == document.Chapter.__annotations__.keys()


@pytest.mark.parametrize(("name", "declared"), TYPES.items())
def test_nullable_fields_are_the_same_in_both(schema, name, declared):
    for field, kind in typing.get_type_hints(declared).items():
        said = schema["properties"][name]["properties"][field]
        kinds = said.get("type", [])
        nullable = "null" in (kinds if isinstance(kinds, list) else [kinds]) or None in said.get("enum", [])
        assert nullable == (type(None) in typing.get_args(kind)), field


@pytest.mark.parametrize(("declared", "found"), FACTS.items())
def test_every_fact_that_is_found_is_in_the_document(declared, found):
    def words(name: str) -> str:
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)

    assert [words(name) for name in declared.__annotations__] == [field.name for field in fields(found)]


def test_there_is_a_message_for_every_reason():
    assert {rejected.reason for rejected in REJECTIONS} == set(Reason)
    for rejected in REJECTIONS:
        for text in (rejected.message, rejected.advice):
            assert text.endswith(".")
            assert "{" not in text
        json.dumps(rejected.evidence)
