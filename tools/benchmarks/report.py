"""The benchmark's page: text and tables, in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tools.benchmarks.files import Kind
from tools.benchmarks.prices import LAMBDA_GB_SECOND, cost
from tools.benchmarks.race import QUOTA_PERIOD, TIMEOUT, Run
from tools.benchmarks.shaped_s3 import CONNECTION_RATE, FIRST_BYTE

type Results = Mapping[str, Mapping[str, Run]]  # by kind and contestant

NAMES: Final = {
    "ours": "video-intake",
    "P1": "download, then ffprobe and ffmpeg",
    "P2": "ffprobe and ffmpeg on a presigned URL",
    "P3": "MediaInfo on a presigned URL (no poster)",
    "P4": "PyAV on s3fs",
    "floor": "the same decoding, all ranges at once",
}

TIMES: Final = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Setting:
    """When and on what kind of machine it was measured."""

    date: str
    machine: str
    versions: str
    runs: int
    shared: float  # MB/s
    check: str  # the measured speed of the shaped S3 itself
    share: float  # of a core, for a function with 1,024 MB


def race_table(kinds: Sequence[Kind], results: Results) -> str:
    """A row for each contestant and kind of file."""
    rows = []
    for kind in kinds:
        for number, (name, run) in enumerate(results[kind.name].items()):
            label = f"**{NAMES[name]}**" if name == "ours" else NAMES[name]
            rows.append(
                [f"**{kind.what}**" if number == 0 else "", label, *_figures(run, results[kind.name].get("ours"))]
            )
    return table(["file", "", "requests", "MB", "wall", "CPU", "peak memory", "time, ours = 1"], rows, left=2)


def shared_table(kinds: Sequence[Kind], results: Results) -> str:
    """Ours and the download, with all connections sharing the network."""
    rows = [
        [kind.what, *(_wall(results[kind.name][name]) for name in ("ours", "P1")), _ratio(*results[kind.name].values())]
        for kind in kinds
    ]
    return table(["file", NAMES["ours"], NAMES["P1"], "ratio"], rows, left=1)


def lambda_table(kinds: Sequence[Kind], whole: Results, part: Results) -> str:
    """Inspection and invocation with a full core and, if measured, with a part of one."""
    rows = [
        [kind.what, f"{whole[kind.name]['invocation'].waits:.0f}",
         *(_wall(results[kind.name][name]) for name in ("ours", "invocation") for results in (whole, part) if results)]
        for kind in kinds
    ]  # fmt: skip
    shares = ("full core", "part of a core") if part else ("full core",)
    head = [f"{what}, {share}" for what in ("inspection", "invocation") for share in shares]
    return table(["file", "round trips", *head], rows, left=1)


def cost_table(kinds: Sequence[Kind], results: Results) -> str:
    """Dollars per thousand videos."""
    names = [name for name in NAMES if name != "floor"]
    rows = [
        [kind.what, *("" if (run := results[kind.name][name]).failure else f"${cost(run):.4f}" for name in names)]
        for kind in kinds
    ]
    return table(["1,000 of", *(NAMES[name] for name in names)], rows, left=1)


def split_table(kinds: Sequence[Kind], parts: Mapping[str, Mapping[str, float]]) -> str:
    """CPU time of each part of the inspector."""
    rows = [
        [kind.what, *(f"{parts[kind.key][part]:.1f} ms" for part in ("facts", "decode", "poster")),
         f"{sum(parts[kind.key].values()):.1f} ms"]
        for kind in kinds
    ]  # fmt: skip
    return table(["file", "open and facts", "decode", "poster", "total"], rows, left=1)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A Markdown table that is also readable as text; all but the first `left` columns are numbers."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = ["-" * width if column < left else "-" * (width - 1) + ":" for column, width in enumerate(widths)]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        padded = (cell.ljust(width) if n < left else cell.rjust(width) for n, (cell, width) in enumerate(cells))
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, (head, rule, *rows)))


def document(
    kinds: Sequence[Kind],
    results: Results,
    shared: Results,
    invoked: tuple[Results, Results],
    parts: Mapping[str, Mapping[str, float]],
    setting: Setting,
) -> str:
    """docs/benchmarks.md."""
    return f"""# Benchmarks: speed compared with the alternatives

![Wall time for each kind of file, on a log scale](benchmarks.svg)

Written by `make bench` on {setting.date}: {setting.machine}; {setting.versions}. Each figure is the median of
{setting.runs} runs; the runs of all contestants are interleaved. For a partial run, which does not change this page:
`make bench RUNS=1 FILES="20s-720p 1gb-mov"`.

Objects come from a local S3 that answers after {FIRST_BYTE * 1000:.0f} ms and gives {CONNECTION_RATE / 1e6:.0f} MB/s to
each connection (measured: {setting.check}). Connecting is free there; a real connection needs another round trip or
two, which would slow every contestant.

{race_table(kinds, results)}

¹ Measured once, because it is slow. ² No answer; the figures are those until the timeout.

## Where all connections share {setting.shared:.0f} MB/s

This is more like Lambda, where bandwidth grows with memory.

{shared_table(kinds, shared)}

## The whole invocation

The function with all of its calls to AWS, each answered after {FIRST_BYTE * 1000:.0f} ms: the lock, the reads, results
and tags in parallel, the message, and the record of the outcome. **Round trips** counts calls in parallel once. With
1,024 MB, a Lambda function has {setting.share} of a core: these columns were measured in a control group with that
quota per {QUOTA_PERIOD / 1000:.0f} ms.

{lambda_table(kinds, *invoked)}

## What reading 1,000 videos costs

Only Lambda's time and S3's GET requests, because [everything else](cost.md) costs the same for all.
List prices in us-east-1 as of 2026-11: Lambda on arm64 ${LAMBDA_GB_SECOND:.10f} per GB-second at 1,024 MB and $0.20 per
million requests, S3 $0.0004 per 1,000 GETs. Warm, as in the first table, and without the disk space for a download.

{cost_table(kinds, results)}

## Where the time goes

CPU time for objects in memory, fastest of seven runs.

{split_table(kinds, parts)}

Most of the last row is decoding one key frame. Allocator settings do not help: with the template's `MALLOC_ARENA_MAX`,
the decoder keeps its memory between videos, and a warm inspection has fewer than ten page faults (11,600 if glibc
returns the memory each time). Skipping the loop filter would save a sixth of the decoding, but change the picture.

## What is measured

- Every run is a separate process that simulates a warm Lambda: before the clock starts, modules are imported and a
  small video is inspected. `ffprobe` and `ffmpeg` are programs, and starting them counts.
- **requests** and **MB** are what the server sent, even if the reader disconnected. **CPU** is user and system time,
  including started programs. **Peak memory** is that of the largest process including imports; for video-intake,
  the sum of function and decoder.
- **{NAMES["ours"]}**: `video_intake.media` over boto3, as the function calls it: all facts, and a poster of a key frame
  near 10 %.
- **{NAMES["P1"]}**: boto3's `download_file` with its defaults (8 MB parts, ten at a time), `ffprobe` to JSON, and
  `ffmpeg -ss` 10 % `-frames:v 1` scaled to 1,280 pixels.
- **{NAMES["P2"]}**: the same two commands on the URL.
- **MediaInfo**: `pymediainfo`'s bundled library, which reads URLs directly. Facts, no poster.
- **{NAMES["P4"]}**: default settings, the key frame before 10 %, the same scaling and JPEG.
- **{NAMES["floor"]}**: an oracle that knows the ranges video-intake reads and requests all of them in one round trip.
  The difference is the cost of finding them.
- A few large fragments without `mfra` cost a round trip each, because only its predecessor shows where a fragment
  begins. Fetching enough to guess right would take longer.
- The timeout is {TIMEOUT:.0f} s.
- The files are generated ([tools/benchmarks/files.py](../tools/benchmarks/files.py)): a few seconds are encoded once
  and their packets repeated, so every byte is a sample or an index. The pictures are a fractal with noise, at the bit
  rates of phones, camcorders and streams, encoded as by cameras: one slice, no wavefronts.
"""


def _figures(run: Run, ours: Run | None) -> list[str]:
    read = [f"{run.requests:.0f}", f"{run.megabytes:,.2f}"]
    if run.failure:
        return [*read, "²", "", "", ""]
    return [*read, _wall(run), f"{run.cpu * 1000:,.0f} ms", f"{run.peak:.0f} MB", _ratio(ours, run) if ours else ""]


def _wall(run: Run) -> str:
    return f"{run.wall * 1000:,.0f} ms" + (" ¹" if run.once else "")


def _ratio(ours: Run, other: Run) -> str:
    ratio = other.wall / ours.wall
    return "" if other is ours else f"{ratio:.1f}{TIMES}" if ratio < 20 else f"{ratio:.0f}{TIMES}"
