"""The limits of one inspection."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one inspection, except its time."""

    max_pixels: int = 8192 * 4352  # per frame: 8K, both cinema and television
    max_bytes: int = 256 << 20  # read per file: its index (96 MB at most) and a few key frames
    poster_edge: int = 1280  # pixels
    storyboard: bool = False  # whether to create one
