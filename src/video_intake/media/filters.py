"""Applies FFmpeg's filters to single pictures.

PyAV's graph and its filters refer to each other, so a graph remains until garbage collection, which `worker` does after
each video. One thread is enough for one picture, and leaves no stack behind.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

TIME_BASE: Final = Fraction(1, 1000)  # arbitrary: the filters used here take pictures in order, whatever their times

type Step = tuple[str, str]  # a filter's name and its arguments


def picture(frames: Sequence[VideoFrame], steps: Sequence[Step], table: VideoFrame | None = None) -> VideoFrame:
    """Applies `steps` to `frames`, which have the same size and format, and returns the resulting picture.

    `table` is the second input of the last step (a Hald CLUT). Raises av.FFmpegError.
    """
    graph = Graph()
    graph.threads = 1
    source = _source(graph, frames[0])
    last = source
    for name, arguments in steps:
        step = graph.add(name, arguments)
        last.link_to(step)
        last = step
    if table:
        second = _source(graph, table)
        second.link_to(last, input_idx=1)
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    if table:
        _push(second, [table])
    _push(source, frames)
    made = sink.pull()
    assert isinstance(made, VideoFrame)
    return made


def passes(frame: VideoFrame, expression: str) -> bool:
    """Whether an expression for the filter `select` is true for a picture. Raises av.FFmpegError."""
    try:
        picture([frame], [("select", f"'{expression}'")])
    except EOFError:
        return False
    return True


def _source(graph: Graph, like: VideoFrame) -> FilterContext:
    return graph.add_buffer(width=like.width, height=like.height, format=like.format.name, time_base=TIME_BASE)


def _push(source: FilterContext, frames: Sequence[VideoFrame]) -> None:
    for frame in frames:
        frame.pts, frame.time_base = 0, TIME_BASE
        source.push(frame)
    source.push(None)
