"""Files that would keep a decoder busy for minutes, or take all its memory: each gets a verdict."""

import pytest

from tests.support.hostile import HOSTILE
from tools.videos import video

FIVE_MINUTES = 300  # as in the template
BRIEFLY = 21  # seconds of the function's timeout, of which it keeps 15 to publish: the same bounds, reached sooner
# For which time runs out, a small file of much data, and many sizes; tests/hostile has all of them, without a stack
KINDS = ("12 MB of scans in 8K", "a compressed bomb", "VP9 that switches", "a thousand GIFs in 8K")
LONGEST, BRIEF = 45_000, 20_000  # milliseconds of an inspection, with the end of one decoder and the start of the next


@pytest.fixture
def longest(world, soak):
    """Milliseconds that an inspection may take."""
    if not soak:
        world.allow(BRIEFLY)
    yield LONGEST if soak else BRIEF
    world.allow(FIVE_MINUTES)


@pytest.mark.timeout(900)
def test_hostile_files_get_a_verdict(world, longest, report, soak):
    names = {f"hostile-{number}.mp4": name for number, name in enumerate(HOSTILE if soak else KINDS)}
    versions = {key: world.upload(key, HOSTILE[name]()) for key, name in names.items()}
    world.settle(600)
    assert world.letters() == [], "there are no failed events"
    heard = world.heard_of()
    took = {}
    for key, version in versions.items():
        result = world.intake.result(version)
        took[names[key]] = result["inspection"]["durationMs"]
        assert took[names[key]] < longest, names[key]
        assert heard[version.folder + "result.json"] == 1, names[key]
        invocations = {call["event"] for call in world.calls() if key in str(call)}
        assert len(invocations) <= 1, f"{names[key]}: it was tried again"
    slowest = max(took, key=took.__getitem__)
    report(f"Slowest of {len(took)} hostile files: {slowest}, {took[slowest]:,} ms")

    after = [world.upload(f"after-{number}.mp4", video(seconds=0.2)) for number in range(10)]
    world.settle()
    assert {world.intake.result(each)["status"] for each in after} == {"success"}
