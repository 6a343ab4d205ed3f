"""Inspects a file: returns technical facts and a poster, or the reason for a rejection."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

from video_intake.media import (
    avi,
    choices,
    container,
    extent,
    fragmented,
    isobmff,
    report,
    signatures,
    storyboard,
    verdicts,
)
from video_intake.media.choices import Choice
from video_intake.media.container import opened
from video_intake.media.facts import Inspection
from video_intake.media.fragmented import Film
from video_intake.media.fragments import Fragments
from video_intake.media.isobmff import Layout
from video_intake.media.key_frames import Frames, Shot
from video_intake.media.limits import Limits
from video_intake.media.range_reader import RangeReader
from video_intake.media.verdicts import Rejected

POSTER_AT: Final = (0.10, 0.25, 0.40, 0.02)  # of the duration; the next is tried if a frame is blank
MAX_MEMORY: Final = 580 << 20  # of data; with the function, less than 800 of 1,024 MB. 8K takes 330


# Started before memory is limited: a thread that cannot start for lack of memory would block others.
VISITOR: Final = ThreadPoolExecutor(1)
VISITOR.submit(int).result()


def inspect(reader: RangeReader, limits: Limits) -> Inspection:
    """Inspects the file that `reader` reads.

    Raises Rejected if it is not a playable video, and whatever reading raises.
    """
    try:
        return _inspect(reader, limits)
    except MemoryError:
        pass  # and release the error, whose traceback refers to the memory
    finally:
        reader.forget()
    raise verdicts.too_large_to_decode(f"{MAX_MEMORY >> 20} MB of memory")


def _inspect(reader: RangeReader, limits: Limits) -> Inspection:
    if reader.size == 0:
        raise verdicts.empty()
    reader.load_ends()
    head = reader.peek(0, 4096)
    demuxer = signatures.container(head)
    if demuxer is None:
        raise signatures.rejection(reader, head)
    try:
        return _avi(reader, limits) if demuxer == signatures.AVI else _isobmff(reader, limits)
    except Rejected:
        if conversion := signatures.converted(head):
            raise verdicts.converted(conversion) from None
        raise


def _isobmff(reader: RangeReader, limits: Limits) -> Inspection:
    layout = isobmff.scan(reader)
    if fourcc := layout.movie.encrypted():
        raise verdicts.encrypted(fourcc.decode("latin-1"))
    if layout.movie.refers_elsewhere():
        raise verdicts.elsewhere()
    if layout.movie.fragmented:
        fragments = Fragments(reader, layout)
        if fragments.first:
            return _fragmented(reader, layout, fragments, limits)
        if cut := fragments.walk.cut:
            raise verdicts.truncated(reader.size, box=cut.type.decode("latin-1"), boxEnd=cut.end)
        if layout.movie.samples_of_video() == 0:
            raise verdicts.initialization()
    return _indexed(reader, layout, limits)


def _avi(reader: RangeReader, limits: Limits) -> Inspection:
    scanned = avi.scan(reader, limits.max_pixels)
    with avi.video(reader, scanned, limits.max_pixels) as (video, indexed):
        timed, amount = avi.extent(video, scanned, indexed)
        frames, size = Frames(timed), scanned.size(video.stream.index)
        choice = choices.any_picture(frames, POSTER_AT)
        return report.of(frames, choice, None, amount, size, limits.poster_edge, limits.storyboard)


def _indexed(reader: RangeReader, layout: Layout, limits: Limits) -> Inspection:
    """Inspects a file with a regular index, which lists every key frame."""
    file = container.indexed(reader, layout)
    with opened(file, reader, signatures.ISOBMFF, layout.movie, limits.max_pixels) as video:
        frames = Frames(video)
        choice = choices.any_picture(frames, POSTER_AT)
        track = video.stream.id
        amount, size = extent.of_movie(layout.movie, track), layout.movie.size(track)
        return report.of(frames, choice, layout, amount, size, limits.poster_edge, limits.storyboard)


def _fragmented(reader: RangeReader, layout: Layout, fragments: Fragments, limits: Limits) -> Inspection:
    """Inspects a fragmented file: FFmpeg gets a few fragments, and more only if those have no usable picture."""
    early = _visit(reader, layout, fragments, limits) if fragments.few else None

    def look(places: Sequence[float], choose: Callable[[Frames, Sequence[float]], Choice | None]) -> Inspection | None:
        wanted = (*places, *storyboard.PLACES) if limits.storyboard else places
        film = fragmented.chosen(reader, layout, fragments, wanted)
        file, offset = fragmented.shown(reader, layout, film)
        with opened(file, reader, signatures.ISOBMFF, layout.movie, limits.max_pixels, offset=offset) as video:
            frames = Frames(video)
            choice = Choice(early) if early else choose(frames, places)
            if choice is None:
                return None
            track = video.stream.id
            amount, size = extent.of_fragments(layout.movie, film, track, reader.size), layout.movie.size(track)
            return report.of(frames, choice, layout, amount, size, limits.poster_edge, limits.storyboard)

    found = look(POSTER_AT[:1], choices.marked)
    if found is None and not fragments.whole and not (found := look(POSTER_AT, choices.clear)):
        fragments.visit_all()
    found = found or look(POSTER_AT, choices.any_picture)
    assert found  # or it would have raised
    return found


def _visit(reader: RangeReader, layout: Layout, fragments: Fragments, limits: Limits) -> Shot | None:
    """Visits all of a few fragments while decoding a poster from the first one."""
    visit = VISITOR.submit(fragments.visit_all)
    try:
        shot = _early_shot(reader, layout, fragments, limits)
    finally:
        wait([visit])  # it must not still be reading when the next file begins
    if visit.exception():  # decoding may have left too little memory for it
        fragments.visit_all()
    return shot


def _early_shot(reader: RangeReader, layout: Layout, fragments: Fragments, limits: Limits) -> Shot | None:
    assert fragments.first
    if POSTER_AT[0] * fragments.estimate > 1 or fragments.first.end > reader.size:
        return None
    film: Film = fragmented.alone(layout, fragments, fragments.first)
    file, offset = fragmented.shown(reader, layout, film)
    try:
        with opened(file, reader, signatures.ISOBMFF, layout.movie, limits.max_pixels, offset=offset) as video:
            choice = choices.marked(Frames(video), POSTER_AT[:1])
            return choice.shot if choice else None
    except Rejected:
        return None  # if the file is to blame, the full inspection rejects it
