"""Why a file is not a playable video: the stable names, and the sentence a person reads for each.

Errors are sorted by consequence, not by origin. What the file itself causes is `Rejected` and ends as a
verdict; an upload that is no longer there is `Gone` and ends without one; everything else that is raised
is a fault of the world, and Lambda tries again.
"""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Reason:
    """What a person is told. `sentence` may name keys of the evidence in braces."""

    sentence: str
    advice: str


# A reason's name is an interface: it stands in results, tags, message attributes and people's filters.
REASONS: Final[dict[str, Reason]] = {
    "empty": Reason(
        "The file is empty.",
        "Upload it again; if it is empty at its source too, the recording never reached the disk.",
    ),
    "not-a-video": Reason(
        "The file is no MP4, MOV or AVI video; it looks like {found}.",
        "Upload the video itself, or convert it to MP4 first. Renaming a file does not convert it.",
    ),
    "audio-only": Reason(
        "The file has sound, but no video track.",
        "Export it again with the picture, or keep sound files elsewhere.",
    ),
    "no-frames": Reason(
        "The file has a video track, but there is not a single frame in it.",
        "Record or export it again; only the beginning of a video was written.",
    ),
    "truncated": Reason(
        "The file ends too early: the upload or the recording was cut off.",
        "Upload it again; if it does not play to its end at its source either, the recording was cut off.",
    ),
    "encrypted": Reason(
        "The video is encrypted (DRM), and there is no key to look inside.",
        "Upload a copy without copy protection.",
    ),
    "unsupported-codec": Reason(
        "The video is encoded as {codec}, for which there is no decoder.",
        "Convert it to H.264 or HEVC and upload that.",
    ),
    "undecodable": Reason(
        "The file looks like a video, but its content is damaged.",
        "Try to play it at its source; if it plays there, upload it again.",
    ),
    "too-large-to-decode": Reason(
        "The video asks for more than an inspection may take ({limit}).",
        "If this is a real video, export it in a smaller size, or raise the function's limits.",
    ),
    "too-slow": Reason(
        "Inspecting the video took longer than an inspection may take.",
        "If this is a real video, export it again; its index is unusually large or scattered.",
    ),
    "archived": Reason(
        "The object lies in an archive storage class ({storageClass}) and cannot be read.",
        "Restore the object, or upload it to a storage class that can be read at once.",
    ),
}


class Rejected(Exception):
    """The file itself is why there is no playable video: a verdict, never retried.

    `evidence` holds JSON values that let a person check the verdict (offsets and sizes in bytes).
    """

    def __init__(self, reason: str, **evidence: Any) -> None:
        self.reason = reason
        self.evidence = evidence
        self.message = REASONS[reason].sentence.format(**evidence)
        super().__init__(f"{reason}: {self.message}")


class Gone(Exception):
    """The version was deleted or replaced before its turn came: nobody is waiting for a verdict."""
