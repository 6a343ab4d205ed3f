"""What one inspection may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one inspection; time is given with each."""

    max_pixels: int = 8192 * 4352  # of a frame: 8K, in both film and television sizes
    max_bytes: int = 256 << 20  # read of one file: its index (96 MB at most) and a few key frames
    poster_edge: int = 1280  # pixels
    storyboard: bool = False  # whether to make one
