"""Why a file is not a playable video: stable names for programs, and for people a sentence and some advice.

Errors are sorted by consequence, not by origin. What the file itself causes is `Rejected` and ends as a verdict; an
upload that is no longer there is `Gone` and ends without one; everything else that is raised is an infrastructure
failure, and Lambda tries again.

There is a function for each sentence, so that a misspelled reason or missing evidence is a type error. A sentence is
true for every file that gets it.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, Final

MAX_EVIDENCE: Final = 200  # characters of a string in it: names of boxes and codecs are the file's own

UPLOAD_AGAIN: Final = "Upload it again. If it does not play to its end at its source either, the recording was cut off."


class Reason(StrEnum):
    """A reason's name is an interface: it is in results, tags, message attributes and people's filters."""

    EMPTY = "empty"
    NOT_A_VIDEO = "not-a-video"
    AUDIO_ONLY = "audio-only"
    NO_FRAMES = "no-frames"
    TRUNCATED = "truncated"
    ENCRYPTED = "encrypted"
    UNSUPPORTED_CODEC = "unsupported-codec"
    UNDECODABLE = "undecodable"
    TOO_LARGE_TO_DECODE = "too-large-to-decode"
    TOO_SLOW = "too-slow"
    ARCHIVED = "archived"


class Rejected(Exception):
    """The file itself is why there is no playable video: a verdict, never retried.

    `evidence` holds JSON values that let a person check the verdict (offsets and sizes in bytes).
    """

    sentence = ""  # the name of the function below that made it,
    arguments: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed - and what it was given

    def __init__(self, reason: Reason, message: str, advice: str, evidence: dict[str, Any]) -> None:
        self.reason, self.message, self.advice = reason, message, advice
        self.evidence = {name: _bounded(value) for name, value in evidence.items()}
        super().__init__(f"{reason}: {message}")


class Gone(Exception):
    """The version was deleted or replaced before its turn came: nobody is waiting for a verdict."""


SENTENCES: Final[dict[str, Callable[..., Rejected]]] = {}


def _sentence[**P](function: Callable[P, Rejected]) -> Callable[P, Rejected]:
    """Lets another process say which sentence is meant, and of what."""

    @wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> Rejected:
        rejected = function(*args, **kwargs)
        rejected.sentence = function.__name__
        given = dict(zip(function.__code__.co_varnames, args, strict=False)) | kwargs
        rejected.arguments = {name: _bounded(value) for name, value in given.items()}
        return rejected

    SENTENCES[function.__name__] = made
    return made


@_sentence
def empty() -> Rejected:
    """There is not a single byte."""
    return Rejected(
        Reason.EMPTY,
        "The file is empty.",
        "Upload it again. If it is empty at its source too, the recording was never written to the disk.",
        {},
    )


@_sentence
def not_a_video(found: str, **evidence: Any) -> Rejected:
    """The file is something else: `found` says what, with its article ("a PNG picture"); "" where nobody knows."""
    likeness = f"it looks like {found}" if found else "its format was not recognized"
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file is not an MP4, MOV or AVI video: {likeness}.",
        "Upload the video itself, or convert it to MP4 first. Renaming a file does not convert it.",
        {"found": found or "an unknown format"} | evidence,
    )


@_sentence
def zeros(at_end: bool, everywhere: bool) -> Rejected:
    """Its beginning, as far as it was read, holds zeros only: so does its end, or all of it."""
    where = "" if everywhere else " at its beginning and its end" if at_end else " at its beginning"
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file contains nothing but zeros{where}.",
        "Upload it again. If it does not play at its source either, its content was lost when it was copied or saved.",
        {"found": "zeros"},
    )


@_sentence
def form_upload(kind: str) -> Rejected:
    """The body of a request was stored, with the file somewhere in it; `kind` is its media type."""
    name = "an HTML form upload" if kind == "multipart/form-data" else "a request of several parts"
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file is the body of {name} ({kind}), not the video inside it.",
        "Send only the content of the file, with HTTP PUT; or post the form to S3 with a presigned POST.",
        {"found": "the body of a form upload"},
    )


@_sentence
def converted(into: str) -> Rejected:
    """Binary data went through a program that took them for text, and changed them for good."""
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file was damaged on its way: its bytes were converted as if they were {into}.",
        "Send the file as binary data: not as a string, and with a gateway or FTP client set to binary.",
        {"found": into},
    )


@_sentence
def base64_text() -> Rejected:
    """A video, or something else, in letters."""
    return Rejected(
        Reason.NOT_A_VIDEO,
        "The file is Base64 text, not the file that the text encodes.",
        "Decode the text before the upload, and send the bytes themselves.",
        {"found": "Base64 text"},
    )


@_sentence
def audio_only() -> Rejected:
    """There is sound, and no track of moving pictures."""
    return Rejected(
        Reason.AUDIO_ONLY,
        "The file has sound, but no video track.",
        "Export it again with the picture, or keep sound files elsewhere.",
        {},
    )


@_sentence
def no_video_track(kinds: str) -> Rejected:
    """There is neither a track for pictures nor one for sound; `kinds` names those that are there ("subt")."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file has tracks, but none of them is video." if kinds else "The file has neither video nor sound.",
        "Upload the file that holds the picture. This one may hold the subtitles or the data that go with it.",
        {"tracks": kinds},
    )


@_sentence
def no_frames(**evidence: Any) -> Rejected:
    """There is a track for pictures, and none in it."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file has a video track, but that track has no frames.",
        "Record or export it again: only the beginning of the video was written.",
        evidence,
    )


@_sentence
def initialization() -> Rejected:
    """The first segment of a stream, which describes the video, and none of those that hold it."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file is only the beginning of a stream: it describes a video, but contains none of its frames.",
        "Join it with the media segments that follow it and upload the result, or record the video again.",
        {},
    )


@_sentence
def elsewhere() -> Rejected:
    """The pictures are in another file, which is named here (a reference movie)."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file only refers to its video, which is stored in another file.",
        "In the program that made it, export or save the movie as a self-contained file.",
        {},
    )


@_sentence
def segment(box: str) -> Rejected:
    """A part of a stream without the one that precedes all others and describes them; it begins with `box`."""
    return Rejected(
        Reason.TRUNCATED,
        "The file is a segment of a stream. Without the initialization segment it cannot be played.",
        "Join the initialization segment and all media segments, in order, and upload the result.",
        {"firstBox": box},
    )


@_sentence
def truncated(file_end: int, seconds: float | None = None, **evidence: Any) -> Rejected:
    """Media data or index reach beyond `file_end`, the size of the file; `seconds` of the film are complete."""
    there = f" The first {clock(seconds)} of it are complete." if seconds else ""
    return Rejected(
        Reason.TRUNCATED,
        f"The file ends too early: the upload or the recording was cut off.{there}",
        UPLOAD_AGAIN,
        evidence | {"fileEnd": file_end} | ({"secondsComplete": round(seconds, 3)} if seconds else {}),
    )


@_sentence
def without_index(file_end: int, reached: int) -> Rejected:
    """There is no `moov`; up to `reached` the file was understood."""
    return Rejected(
        Reason.TRUNCATED,
        "The file has no index (moov): the recording was not completed, or a part of the file is missing or damaged.",
        "Upload it again. If it does not play at its source either, a program that repairs videos may help.",
        {"fileEnd": file_end, "understoodUntil": reached},
    )


@_sentence
def encrypted(codec: str) -> Rejected:
    """The first video track is, or becomes, an encrypted one; `codec` is its four-character code."""
    return Rejected(
        Reason.ENCRYPTED,
        "The video is encrypted (DRM) and cannot be decoded without its key.",
        "Upload a copy without copy protection.",
        {"codec": codec},
    )


@_sentence
def unsupported_codec(codec: str) -> Rejected:
    """There is no decoder for the pictures."""
    return Rejected(
        Reason.UNSUPPORTED_CODEC,
        f"The video is encoded as {codec[:MAX_EVIDENCE]}, which cannot be decoded here.",
        "Convert it to H.264 or HEVC, and upload that.",
        {"codec": codec},
    )


@_sentence
def undecodable(detail: str) -> Rejected:
    """Decoding was tried, and not a single picture came out; `detail` is what FFmpeg reports."""
    return Rejected(
        Reason.UNDECODABLE,
        "No picture could be decoded from the file: its content is damaged.",
        "Try to play it at its source. If it plays there, upload it again.",
        {"detail": detail},
    )


@_sentence
def too_large_to_decode(limit: str, **evidence: Any) -> Rejected:
    """Something is larger than an inspection has room for; `limit` says what, and how much there may be."""
    return Rejected(
        Reason.TOO_LARGE_TO_DECODE,
        f"Inspecting this video would exceed a limit: {limit}.",
        "If this is a real video, export it in a smaller size, or raise the function's limits.",
        {"limit": limit} | evidence,
    )


@_sentence
def too_slow(**evidence: Any) -> Rejected:
    """The time of an inspection was used up."""
    return Rejected(
        Reason.TOO_SLOW,
        "Inspecting the video took longer than the time limit.",
        "If this is a real video, export it again: its index is unusually large or scattered.",
        evidence,
    )


@_sentence
def archived(storage_class: str) -> Rejected:
    """S3 gives no bytes of the object until somebody restores it."""
    return Rejected(
        Reason.ARCHIVED,
        f"The object is in an archive storage class ({storage_class}) and cannot be read.",
        "Restore the object, or upload it to a storage class that can be read immediately.",
        {"storageClass": storage_class},
    )


@_sentence
def decoder_crashed(detail: str) -> Rejected:
    """The process that decodes was lost over this file, twice; `detail` says how."""
    return Rejected(
        Reason.UNDECODABLE,
        "Decoding this file crashed the decoder.",
        "Convert it to H.264 in MP4 with another program and upload that.",
        {"detail": detail},
    )


def bound(what: str, number: int, most: int) -> None:
    """Raises Rejected("too-large-to-decode") for more than `most`."""
    if number > most:
        raise too_large_to_decode(f"at most {most:,} {what}", found=number)


def clock(seconds: float) -> str:
    """A duration for people: "1.5 seconds", "2:05 minutes", "1:00:00 hours"."""
    if seconds < 60:
        return f"{seconds:.3g} seconds"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} minutes" if minutes < 60 else f"{minutes // 60:,}:{minutes % 60:02}:{rest:02} hours"


def _bounded(value: Any) -> Any:
    return value[:MAX_EVIDENCE] if isinstance(value, str) else value
