import pytest

from tests.support.files import File
from tools.videos import video
from video_intake.media.inspector import Inspection, Limits, inspect


@pytest.fixture(scope="session")
def inspection() -> Inspection:
    """The inspection of a small playable video."""
    return inspect(File(video(seconds=0.2)).reader(), Limits())
