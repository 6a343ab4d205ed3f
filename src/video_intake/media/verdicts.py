"""Why a file is not a playable video: stable names for programs, and for people a sentence and some advice.

Errors are sorted by consequence, not by origin. What the file itself causes is `Rejected` and ends as a verdict; an
upload that is no longer there is `Gone` and ends without one; everything else that is raised is an infrastructure
failure, and Lambda tries again.

There is a function for each sentence, so that a misspelled reason or missing evidence is a type error.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, Final


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
        self.reason, self.message, self.advice, self.evidence = reason, message, advice, evidence
        super().__init__(f"{reason}: {message}")


class Gone(Exception):
    """The version was deleted or replaced before its turn came: nobody is waiting for a verdict."""


UPLOAD_AGAIN: Final = "Upload it again; if it does not play to its end at its source either, the recording was cut off."


SENTENCES: Final[dict[str, Callable[..., Rejected]]] = {}


def _sentence[**P](function: Callable[P, Rejected]) -> Callable[P, Rejected]:
    """Lets another process say which sentence is meant, and of what."""

    @wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> Rejected:
        rejected = function(*args, **kwargs)
        rejected.sentence = function.__name__
        rejected.arguments = dict(zip(function.__code__.co_varnames, args, strict=False)) | kwargs
        return rejected

    SENTENCES[function.__name__] = made
    return made


@_sentence
def empty() -> Rejected:
    """There is not a single byte."""
    return Rejected(
        Reason.EMPTY,
        "The file is empty.",
        "Upload it again; if it is empty at its source too, the recording never reached the disk.",
        {},
    )


@_sentence
def not_a_video(found: str, **evidence: Any) -> Rejected:
    """The file is something else: `found` says what, with its article ("a PNG picture")."""
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file is no MP4, MOV or AVI video; it looks like {found}.",
        "Upload the video itself, or convert it to MP4 first. Renaming a file does not convert it.",
        {"found": found} | evidence,
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
def no_frames(**evidence: Any) -> Rejected:
    """There is a track for pictures, and none in it."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file has a video track, but there is not a single frame in it.",
        "Record or export it again; only the beginning of a video was written.",
        evidence,
    )


@_sentence
def truncated(file_end: int, **evidence: Any) -> Rejected:
    """Media data or index reach beyond `file_end`, the size of the file."""
    return Rejected(
        Reason.TRUNCATED,
        "The file ends too early: the upload or the recording was cut off.",
        UPLOAD_AGAIN,
        evidence | {"fileEnd": file_end},
    )


@_sentence
def encrypted(codec: str) -> Rejected:
    """The first video track is, or becomes, an encrypted one; `codec` is its four-character code."""
    return Rejected(
        Reason.ENCRYPTED,
        "The video is encrypted (DRM), and there is no key to look inside.",
        "Upload a copy without copy protection.",
        {"codec": codec},
    )


@_sentence
def unsupported_codec(codec: str) -> Rejected:
    """There is no decoder for the pictures."""
    return Rejected(
        Reason.UNSUPPORTED_CODEC,
        f"The video is encoded as {codec}, for which there is no decoder.",
        "Convert it to H.264 or HEVC and upload that.",
        {"codec": codec},
    )


@_sentence
def undecodable(detail: str) -> Rejected:
    """Decoding was tried, and not a single picture came out; `detail` is what FFmpeg says."""
    return Rejected(
        Reason.UNDECODABLE,
        "The file looks like a video, but its content is damaged.",
        "Try to play it at its source; if it plays there, upload it again.",
        {"detail": detail},
    )


@_sentence
def too_large_to_decode(limit: str, **evidence: Any) -> Rejected:
    """Something is larger than an inspection has room for; `limit` says what, and how much there may be."""
    return Rejected(
        Reason.TOO_LARGE_TO_DECODE,
        f"The video asks for more than an inspection may take ({limit}).",
        "If this is a real video, export it in a smaller size, or raise the function's limits.",
        {"limit": limit} | evidence,
    )


@_sentence
def too_slow(**evidence: Any) -> Rejected:
    """The time of an inspection was used up."""
    return Rejected(
        Reason.TOO_SLOW,
        "Inspecting the video took longer than an inspection may take.",
        "If this is a real video, export it again; its index is unusually large or scattered.",
        evidence,
    )


@_sentence
def archived(storage_class: str) -> Rejected:
    """S3 gives no bytes of the object until somebody restores it."""
    return Rejected(
        Reason.ARCHIVED,
        f"The object lies in an archive storage class ({storage_class}) and cannot be read.",
        "Restore the object, or upload it to a storage class that can be read at once.",
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
