from itertools import pairwise
from pathlib import Path

import pytest

import hdr

RED, GREEN, BLUE = (1, 0, 0), (0, 1, 0), (0, 0, 1)
FROM_BT709 = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))  # ITU-R BT.2087


def entries(kind):
    """(signal, output) for each point of the cube."""
    size, *lines = Path(hdr.cube(kind)).read_text().splitlines()
    side = int(size.split()[1])
    for number, line in enumerate(lines):
        signal = (number % side, number // side % side, number // side**2)
        yield tuple(step / (side - 1) for step in signal), tuple(map(float, line.split()))


@pytest.mark.parametrize("kind", ["PQ", "HLG"])
def test_grey_stays_grey_and_brighter_stays_brighter(kind):
    greys = [output for signal, output in entries(kind) if len(set(signal)) == 1]
    assert all(max(grey) - min(grey) < 0.01 for grey in greys)
    levels = [grey[0] for grey in greys]
    assert levels == sorted(levels)
    assert levels[0] == pytest.approx(0, abs=0.01)
    assert levels[-1] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", ["PQ", "HLG"])
def test_every_colour_is_one_that_a_jpeg_can_show(kind):
    assert all(0 <= channel <= 1 for _, output in entries(kind) for channel in output)


@pytest.mark.parametrize("colour", [RED, GREEN, BLUE, (1, 0.5, 0.25), (0.2, 0.2, 0.2)])
def test_a_colour_that_needs_no_hdr_comes_out_as_itself(colour):
    """60 cd/m2 is under the knee of the curve: only primaries and transfer change."""
    wide = [60 * sum(a * b for a, b in zip(row, colour, strict=True)) for row in FROM_BT709]
    shown = hdr._display(hdr.LIGHT["PQ"](tuple(hdr._pq_signal(light) for light in wide)))
    expected = [hdr._encoded(60 / hdr.WHITE * channel) for channel in colour]
    assert shown == pytest.approx(expected, abs=0.02)


def test_clouds_do_not_burn_out():
    """Between HDR's reference white and the peak there is room left for detail."""
    levels = [hdr._display((light, light, light))[0] for light in (203, 300, 400, 700)]
    assert levels == sorted(levels)
    assert levels[0] < 0.93
    assert all(after - before > 0.01 for before, after in pairwise(levels))
