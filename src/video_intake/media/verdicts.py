"""Why a file is not a playable video: stable names for programs, and a message and advice for people.

Errors are sorted by consequence, not by origin. A problem of the file itself is `Rejected` and becomes a verdict; an
upload that no longer exists is `Gone` and gets none; any other exception is an infrastructure failure, and Lambda
retries.

There is a function for each message, so that a misspelled reason or missing evidence is a type error. A message is true
for every file that gets it.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, Final

MAX_EVIDENCE: Final = 200  # characters per string: names of boxes and codecs come from the file

UPLOAD_AGAIN: Final = "Upload it again. If the original does not play to the end either, the recording was cut off."


class Reason(StrEnum):
    """The names are an interface: they appear in results, tags, message attributes and subscribers' filters."""

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
    """The file is not a playable video: a verdict, never retried.

    `evidence` has JSON values for checking the verdict (offsets and sizes in bytes).
    """

    sentence = ""  # the name of the function below that created it
    arguments: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed - its arguments

    def __init__(self, reason: Reason, message: str, advice: str, evidence: dict[str, Any]) -> None:
        self.reason, self.message, self.advice = reason, message, advice
        self.evidence = {name: _bounded(value) for name, value in evidence.items()}
        super().__init__(f"{reason}: {message}")


class Gone(Exception):
    """The version was deleted or replaced before it was processed, so it needs no verdict."""


SENTENCES: Final[dict[str, Callable[..., Rejected]]] = {}


def _sentence[**P](function: Callable[P, Rejected]) -> Callable[P, Rejected]:
    """Registers a function, so that another process can refer to it by name."""

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
    """The file has no bytes."""
    return Rejected(
        Reason.EMPTY,
        "The file is empty.",
        "Upload it again. If the original is empty too, the recording was never saved.",
        {},
    )


@_sentence
def not_a_video(found: str, **evidence: Any) -> Rejected:
    """The file is something else: `found` is its kind with an article ("a PNG picture"), or "" if unknown."""
    likeness = f"it looks like {found}" if found else "its format was not recognized"
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file is not an MP4, MOV or AVI video: {likeness}.",
        "Upload the video itself, or convert it to MP4 first. Renaming a file does not convert it.",
        {"found": found or "an unknown format"} | evidence,
    )


@_sentence
def preceded(size: int) -> Rejected:
    """There is a video, but it begins after `size` bytes of something else."""
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file does not begin with its video: {size:,} {'byte comes' if size == 1 else 'bytes come'} before it.",
        "Upload the original, or remove what comes before the video: a gateway, script, or tagging tool added it.",
        {"found": "a video after other data", "videoFrom": size},
    )


@_sentence
def zeros(at_end: bool, everywhere: bool) -> Rejected:
    """Everything read from its beginning is zeros, and also its end (`at_end`) or all of it (`everywhere`)."""
    where = "" if everywhere else " at its beginning and its end" if at_end else " at its beginning"
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file contains nothing but zeros{where}.",
        "Upload it again. If the original does not play either, its content was lost when it was copied or saved.",
        {"found": "zeros"},
    )


@_sentence
def form_upload(kind: str) -> Rejected:
    """The file is the body of an HTTP request that contains the video; `kind` is its media type."""
    name = "an HTML form upload" if kind == "multipart/form-data" else "a multipart request"
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file is the body of {name} ({kind}), not the video inside it.",
        "Send only the file's content with HTTP PUT, or post the form to S3 with a presigned POST.",
        {"found": "the body of a form upload"},
    )


@_sentence
def converted(into: str) -> Rejected:
    """A program treated the binary data as text and changed it irreversibly."""
    return Rejected(
        Reason.NOT_A_VIDEO,
        f"The file was damaged in transit: its bytes were converted as if they were {into}.",
        "Send the file as binary data, not as a string, and set the gateway or FTP client to binary mode.",
        {"found": into},
    )


@_sentence
def base64_text() -> Rejected:
    """A video, or any other file, as Base64 text."""
    return Rejected(
        Reason.NOT_A_VIDEO,
        "The file is Base64 text, not the file that the text encodes.",
        "Decode the text and upload the resulting file.",
        {"found": "Base64 text"},
    )


@_sentence
def audio_only() -> Rejected:
    """There is audio, but no video track."""
    return Rejected(
        Reason.AUDIO_ONLY,
        "The file has audio but no video track.",
        "Export it again with its video track, or store audio files elsewhere.",
        {},
    )


@_sentence
def no_video_track(kinds: str) -> Rejected:
    """There are no video or audio tracks; `kinds` lists those that exist ("subt")."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file has tracks, but none of them is video." if kinds else "The file has neither video nor audio.",
        "Upload the file that contains the video. This one may contain only its subtitles or other data.",
        {"tracks": kinds},
    )


@_sentence
def no_frames(**evidence: Any) -> Rejected:
    """There is a video track, but it has no frames."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file has a video track, but that track has no frames.",
        "Record or export it again: only the beginning of the video was written.",
        evidence,
    )


@_sentence
def initialization() -> Rejected:
    """The first segment of a stream, which describes the video, without the segments that contain it."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file is only the beginning of a stream: it describes a video, but contains none of its frames.",
        "Join it with the media segments that follow it and upload the result, or record the video again.",
        {},
    )


@_sentence
def elsewhere() -> Rejected:
    """The video is in another file, which this one refers to (a reference movie)."""
    return Rejected(
        Reason.NO_FRAMES,
        "The file only refers to its video, which is stored in another file.",
        "In the program that created it, export or save the movie as a self-contained file.",
        {},
    )


@_sentence
def segment(box: str) -> Rejected:
    """A segment without the initialization segment that describes it; it begins with `box`."""
    return Rejected(
        Reason.TRUNCATED,
        "The file is one segment of a stream and cannot be played without the initialization segment.",
        "Join the initialization segment and all media segments, in order, and upload the result.",
        {"firstBox": box},
    )


@_sentence
def truncated(file_end: int, seconds: float | None = None, **evidence: Any) -> Rejected:
    """Media data or index extend beyond `file_end`, the size of the file; the first `seconds` are complete."""
    there = f" It is complete up to {clock(seconds)}." if seconds else ""
    return Rejected(
        Reason.TRUNCATED,
        f"The file ends too early: the upload or the recording was cut off.{there}",
        UPLOAD_AGAIN,
        evidence | {"fileEnd": file_end} | ({"secondsComplete": round(seconds, 3)} if seconds else {}),
    )


@_sentence
def unwritten(start: int, end: int) -> Rejected:
    """The range from `start` to `end` contains only zeros instead of video or audio."""
    return Rejected(
        Reason.TRUNCATED,
        "Part of the file was never written: it contains zeros instead of video or audio.",
        "Upload it again. If the original does not play to the end either, its download or copy was interrupted.",
        {"zerosFrom": start, "zerosUntil": end},
    )


@_sentence
def without_index(file_end: int, reached: int) -> Rejected:
    """There is no `moov`; the file could be parsed up to `reached`."""
    return Rejected(
        Reason.TRUNCATED,
        "The file has no index (moov): the recording was not completed, or part of the file is missing or damaged.",
        "Upload it again. If the original does not play either, a video repair tool may help.",
        {"fileEnd": file_end, "understoodUntil": reached},
    )


@_sentence
def encrypted(codec: str) -> Rejected:
    """The first video track is encrypted, at least in part; `codec` is its four-character code."""
    return Rejected(
        Reason.ENCRYPTED,
        "The video is encrypted (DRM) and cannot be decoded without its key.",
        "Upload a copy without copy protection.",
        {"codec": codec},
    )


@_sentence
def unsupported_codec(codec: str) -> Rejected:
    """There is no decoder for the video."""
    return Rejected(
        Reason.UNSUPPORTED_CODEC,
        f"The video is encoded as {codec[:MAX_EVIDENCE]}, which cannot be decoded here.",
        "Convert it to H.264 or HEVC and upload the result.",
        {"codec": codec},
    )


@_sentence
def undecodable(detail: str) -> Rejected:
    """Decoding produced no picture at all; `detail` is what FFmpeg reports."""
    return Rejected(
        Reason.UNDECODABLE,
        "No picture could be decoded from the file: its content is damaged.",
        "Play the original. If it plays, upload it again.",
        {"detail": detail},
    )


@_sentence
def too_large_to_decode(limit: str, **evidence: Any) -> Rejected:
    """Something is larger than an inspection allows; `limit` names it with its maximum."""
    return Rejected(
        Reason.TOO_LARGE_TO_DECODE,
        f"Inspecting this video would exceed a limit: {limit}.",
        "If this is a real video, export it in a smaller size, or raise the function's limits.",
        {"limit": limit} | evidence,
    )


@_sentence
def too_slow(**evidence: Any) -> Rejected:
    """The time for the inspection was used up."""
    return Rejected(
        Reason.TOO_SLOW,
        "Inspecting the video took longer than the time limit.",
        "If this is a real video, export it again: its index is unusually large or scattered.",
        evidence,
    )


@_sentence
def archived(storage_class: str) -> Rejected:
    """S3 cannot return the object until someone restores it."""
    return Rejected(
        Reason.ARCHIVED,
        f"The object is in an archive storage class ({storage_class}) and cannot be read.",
        "Restore the object, or upload it to a storage class that can be read immediately.",
        {"storageClass": storage_class},
    )


@_sentence
def decoder_crashed(detail: str) -> Rejected:
    """The decoder process crashed twice on this file; `detail` describes how."""
    return Rejected(
        Reason.UNDECODABLE,
        "Decoding this file crashed the decoder.",
        "Convert it to H.264 in MP4 with another program and upload the result.",
        {"detail": detail},
    )


def bound(what: str, number: int, most: int) -> None:
    """Raises Rejected("too-large-to-decode") if `number` is more than `most`."""
    if number > most:
        raise too_large_to_decode(f"at most {most:,} {what}", found=number)


def clock(seconds: float) -> str:
    """A duration for people: "1.5 seconds", "2:05 minutes", "1:00:00 hours"."""
    if seconds < 60:
        return "1 second" if (number := f"{seconds:.3g}") == "1" else f"{number} seconds"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} minutes" if minutes < 60 else f"{minutes // 60:,}:{minutes % 60:02}:{rest:02} hours"


def _bounded(value: Any) -> Any:
    return value[:MAX_EVIDENCE] if isinstance(value, str) else value
