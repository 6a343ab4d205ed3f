"""The warnings: what a person should know about a video that is playable all the same. A sentence each."""

from typing import Final

from video_intake.media.verdicts import clock

MOST: Final = 20  # warnings about one video
LENGTH: Final = 300  # characters of each


def durations_differ(stated: float, found: float, what: str = "header") -> str:
    """The file states another duration than its samples have."""
    return f"The file's {what} states a duration of {clock(stated)}, but its samples last {clock(found)}."


def sizes_differ(stated: tuple[int, int], found: tuple[int, int]) -> str:
    """The pictures have another size in pixels than the file states."""
    return f"The file states a picture size of {stated[0]} x {stated[1]}, but its pictures are {found[0]} x {found[1]}."


def rates_differ(of_stream: float, of_file: float) -> str:
    """An AVI states two frame rates."""
    return f"The file states two frame rates: {of_stream:.5g} in the video stream and {of_file:.5g} in the main header."


def no_index() -> str:
    """An AVI without an index, too large to look at every chunk."""
    return "The file has no usable index; its duration and number of frames are those that its header states."


def duration_unchecked(seconds: float | None) -> str:
    """Not every fragment was looked at, and those that were do not tell how long the film is."""
    if seconds is None:
        return "The duration is unknown: the file does not state it, and not all of its fragments were examined."
    return "The duration is the one that the file states: not all of its fragments were examined."


def joined() -> str:
    """The clock of the fragments starts again: several recordings follow one another."""
    return "The file consists of several recordings joined together; the duration is that of all of them."


def gaps(seconds: float) -> str:
    """Between fragments nothing is shown for so long."""
    return f"Parts of the recording are missing: nothing is shown for {clock(seconds)} in all."


def junk(size: int, at_end: bool) -> str:
    """Bytes that are no boxes."""
    place = "at the end of the file" if at_end else "between parts of the recording"
    return f"{size:,} bytes {place} are not part of the video."


def sound_elsewhere() -> str:
    """The sound is in another file."""
    return "The sound is stored in another file, which was not uploaded: the video plays without it."


def refreshed() -> str:
    """No picture is complete in itself."""
    return "The video has no complete key frame to start from; the poster may show traces of decoding."


def no_poster(why: str) -> str:
    """Nothing could be made of a decoded picture."""
    return f"No poster could be made: {why}"


def no_storyboard(why: str) -> str:
    """As for the poster."""
    return f"No storyboard could be made: {why}"


def bounded(warnings: list[str]) -> tuple[str, ...]:
    """Each once, and neither too many nor too long."""
    return tuple(warning[:LENGTH] for warning in dict.fromkeys(warning for warning in warnings if warning))[:MOST]
