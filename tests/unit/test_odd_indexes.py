"""Unusual indexes that the standards allow, or nearly: in this process, so that coverage counts them."""

import struct

import pytest

from tests.fuzz.mutations import File as Parts
from tests.support.boxes import FTYP, box, compressed, index_of, movie, numbers, picture_entry, png
from tests.support.files import File, verdict
from tools.videos import video
from video_intake.media.inspector import Limits, inspect


def inspected(content: bytes):
    return inspect(File(content).reader(), Limits())


@pytest.fixture(scope="module")
def plain():
    return video(seconds=0.4)  # the index last


def behind_a_compressed_index(plain: bytes) -> bytes:
    """The same video at the same offsets, with its index compressed like in QuickTime."""
    packed = compressed(index_of(plain))
    return plain[: plain.index(b"moov") - 4] + packed[packed.index(b"moov") - 4 :]


def test_a_compressed_index_gives_the_same_facts(plain):
    assert inspected(behind_a_compressed_index(plain)).video == inspected(plain).video


def test_a_compressed_index_that_is_damaged(plain):
    content = behind_a_compressed_index(plain)
    at = content.index(b"cmvd") + 8
    rejected = verdict(content[:at] + bytes(40) + content[at + 40 :])
    assert rejected.reason == "undecodable"
    assert "compressed index" in rejected.evidence["detail"]


def test_a_compressed_index_without_its_data(plain):
    assert verdict(behind_a_compressed_index(plain).replace(b"cmvd", b"cmvX")).reason in ("undecodable", "no-frames")


def test_media_data_with_a_64_bit_size(plain):
    at = plain.index(b"mdat") - 4
    assert plain[at - 8 : at - 4] == numbers(8), "the muxer leaves a place for the long form"
    size = struct.unpack_from(">I", plain, at)[0]
    long = plain[: at - 8] + numbers(1) + b"mdat" + struct.pack(">Q", size + 8) + plain[at + 8 :]
    assert len(long) == len(plain)
    assert inspected(long).video == inspected(plain).video


def test_media_data_up_to_the_end_of_the_file():
    content = video(seconds=0.4, options={"movflags": "faststart"})
    at = content.index(b"mdat") - 4
    assert inspected(content[:at] + bytes(4) + content[at + 4 :]).video == inspected(content).video


@pytest.mark.parametrize("brand", [b"avif", b"mif1", b"heic", b"crx "])
def test_a_still_picture_is_named(brand):
    rejected = verdict(box(b"ftyp", brand, bytes(4), brand) + box(b"meta", bytes(100)) + box(b"mdat", bytes(4000)))
    assert rejected.reason == "not-a-video"
    assert rejected.evidence["found"] == f"a still picture ({brand.decode().strip()})"


def test_no_index_at_all():
    rejected = verdict(box(b"ftyp", FTYP) + box(b"mdat", bytes(4000)))
    assert rejected.reason == "truncated"
    assert "moov" in rejected.message


def test_a_box_that_claims_to_be_smaller_than_its_header():
    assert verdict(box(b"ftyp", FTYP) + numbers(4) + b"free" + bytes(4000)).reason == "truncated"


@pytest.mark.parametrize("number", [0, 2, 3, 77])
def test_a_reserved_transfer_curve_has_no_name(number):
    """A file may have numbers that ITU-T H.273 reserves."""
    curve = box(b"colr", b"nclx", struct.pack(">HHHB", 1, number, 1, 0))
    assert inspected(movie(picture_entry(b"png ", 64, 48, curve), [png(64, 48)])).video.color_transfer is None


def test_an_invalid_index_of_a_fragmented_video():
    """Players find the table by its last 16 bytes; if these are wrong, the fragments are walked."""
    content = video(seconds=1, options={"movflags": "frag_keyframe+empty_moov"})
    assert content[-16:-12] == numbers(16), "the muxer writes mfra last"
    for size in (0, 17, len(content), 0xFFFFFFFF):
        assert inspected(content[:-4] + numbers(size)).video == inspected(content).video


def test_fragments_with_only_audio():
    """All of its video is in the index; found by fuzzing."""
    content = video(seconds=2, options={"movflags": "frag_keyframe+skip_trailer"})
    file = Parts.parse(content)
    pictures = [traf for node in file.nodes() if node.type == b"moof" for traf in node if traf.type == b"traf"][::2]
    for traf in pictures:
        traf.type = b"free"
    found = inspected(file.write())
    assert found.video.frames == 30  # of the first group, which is in the index
    assert found.poster
