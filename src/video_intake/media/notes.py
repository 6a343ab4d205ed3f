"""The texts of warnings about playable videos, one sentence each."""

from typing import Final

from video_intake.media.verdicts import clock

MOST: Final = 20  # warnings about one video
LENGTH: Final = 300  # characters of each


def durations_differ(stated: float, found: float, what: str = "header") -> str:
    """The stated duration differs from that of the samples."""
    return f"The file's {what} states a duration of {clock(stated)}, but its samples last {clock(found)}."


def sizes_differ(stated: tuple[int, int], found: tuple[int, int]) -> str:
    """The pictures' size in pixels differs from the stated one."""
    return f"The file states a picture size of {stated[0]} x {stated[1]}, but its pictures are {found[0]} x {found[1]}."


def rates_differ(of_stream: float, of_file: float) -> str:
    """An AVI file states two frame rates."""
    return f"The file states two frame rates: {of_stream:.5g} in the video stream and {of_file:.5g} in the main header."


def no_index() -> str:
    """An AVI file without an index that is too large to examine every chunk."""
    return "The file has no usable index, so its duration and frame count are taken from its header."


def duration_unchecked(seconds: float | None) -> str:
    """Not every fragment was examined, and those that were do not show the duration."""
    if seconds is None:
        return "The duration is unknown: the file does not state it, and not all of its fragments were examined."
    return "The duration is taken from the file's header, because not all of its fragments were examined."


def joined() -> str:
    """The fragments' timestamps restart: several recordings follow one another."""
    return "The file consists of several recordings joined together; the duration covers all of them."


def gaps(seconds: float) -> str:
    """The total duration of gaps between fragments."""
    return f"Parts of the recording are missing: nothing is shown for a total of {clock(seconds)}."


def junk(size: int, at_end: bool) -> str:
    """Bytes that are not boxes."""
    place = "at the end of the file" if at_end else "between parts of the recording"
    return f"{size:,} bytes {place} are not part of the video."


def unwritten(size: int) -> str:
    """Zeros in the middle of the file cover whole frames."""
    return f"Part of the file was never written: {size:,} bytes or more of its video or audio are zeros."


def sound_elsewhere() -> str:
    """The audio is in another file."""
    return "The audio is stored in another file, which was not uploaded, so the video plays without sound."


def refreshed() -> str:
    """There is no frame that can be decoded independently."""
    return "The video has no complete key frame to start from; the poster may show decoding artifacts."


def no_poster(why: str) -> str:
    """The decoded picture could not be turned into a poster."""
    return f"No poster could be created: {why}"


def no_storyboard(why: str) -> str:
    """As for the poster."""
    return f"No storyboard could be created: {why}"


def bounded(warnings: list[str]) -> tuple[str, ...]:
    """Without duplicates, limited in number and length."""
    return tuple(warning[:LENGTH] for warning in dict.fromkeys(warning for warning in warnings if warning))[:MOST]
