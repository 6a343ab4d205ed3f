"""Converts the decoder's answer to JSON and back. When it is read, each value is checked, because it may be hostile."""

import math
import types
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, Final, get_args, get_origin, get_type_hints

from video_intake.media import verdicts
from video_intake.media.facts import Inspection
from video_intake.media.verdicts import Rejected

# More than any fact has (docs/result.schema.json): anything longer was not created by this inspector
MAX_TEXT: Final = 300  # characters of a text; cues of a storyboard have more
MAX_CUES: Final = 8000
MAX_LIST: Final = 100  # entries
MAX_NUMBER: Final = 1 << 64

type Pictures = list[bytes]


class Malformed(Exception):
    """The answer is invalid."""


def of_inspection(inspection: Inspection) -> tuple[dict[str, Any], Pictures]:
    """The facts as JSON values, and the pictures in the order in which the facts mention them."""
    pictures = [each.jpeg for each in (inspection.poster, inspection.storyboard) if each]
    poster = inspection.poster and replace(inspection.poster, jpeg=b"")
    sheet = inspection.storyboard and replace(inspection.storyboard, jpeg=b"")
    found = asdict(replace(inspection, poster=poster, storyboard=sheet))
    for name in ("poster", "storyboard"):
        if found[name]:
            del found[name]["jpeg"]
    return {"inspection": found}, pictures


def of_rejection(rejected: Rejected) -> dict[str, Any]:
    """The name of the verdict's function and its arguments; the text is created by the function that publishes it."""
    return {"rejected": rejected.sentence, "evidence": rejected.arguments}


def read(answer: dict[str, Any], pictures: Pictures) -> Inspection | Rejected:
    """The outcome in `answer`. Raises Malformed."""
    if "rejected" in answer:
        return _rejection(answer)
    found = answer.get("inspection")
    if not isinstance(found, dict):
        raise Malformed("neither an inspection nor a rejection")
    left = iter(pictures)
    for name in ("poster", "storyboard"):
        if isinstance(found.get(name), dict):
            found[name]["jpeg"] = next(left, None)
    inspection: Inspection = _value(found, Inspection)
    return inspection


def _rejection(answer: dict[str, Any]) -> Rejected:
    sentence = verdicts.SENTENCES.get(str(answer["rejected"]))
    arguments = answer.get("evidence")
    if sentence is None or not isinstance(arguments, dict) or not all(map(_plain, arguments.values())):
        raise Malformed("not a rejection")
    try:
        return sentence(**arguments)
    except (TypeError, ValueError) as error:
        raise Malformed("not this rejection's evidence") from error


def _plain(value: Any) -> bool:
    """Whether it is a valid value for evidence."""
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return value is None or (isinstance(value, bool | int | float) and _countable(value))


def _countable(number: float) -> bool:
    return math.isfinite(number) and abs(number) <= MAX_NUMBER


def _value(value: Any, kind: Any, most: int = MAX_TEXT) -> Any:
    """Converts `value` to the type `kind`."""
    if is_dataclass(kind) and isinstance(kind, type):
        return _object(value, kind)
    if get_origin(kind) is tuple:
        if not isinstance(value, list) or len(value) > MAX_LIST:
            raise Malformed("not a list, or too long")
        return tuple(_value(each, get_args(kind)[0]) for each in value)
    if isinstance(kind, types.UnionType):
        return None if value is None else _value(value, next(_kinds(kind)))
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise Malformed(f"a {type(value).__name__} for a {kind.__name__}")
    if isinstance(value, str) and len(value) > most:
        raise Malformed("a text that is too long")
    if isinstance(value, int | float) and not _countable(value):
        raise Malformed("a number that is too large")
    return value


def _object(value: Any, kind: type) -> Any:
    if not isinstance(value, dict) or value.keys() != {field.name for field in fields(kind)}:
        raise Malformed(f"not a {kind.__name__}")
    hints = get_type_hints(kind)
    return kind(
        **{name: _value(each, hints[name], MAX_CUES if name == "vtt" else MAX_TEXT) for name, each in value.items()}
    )


def _kinds(union: types.UnionType) -> Iterator[Any]:
    return (kind for kind in get_args(union) if kind is not type(None))
