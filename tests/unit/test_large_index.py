"""A large index without its audio part. The limits for large and slow are small here."""

import struct
from fractions import Fraction

import pytest

from tests.support.files import File
from tools.videos import cut, video
from video_intake.media import isobmff, large_index, range_reader
from video_intake.media.boxes import Box, boxes
from video_intake.media.inspector import Limits, inspect
from video_intake.media.verdicts import Rejected


@pytest.fixture(scope="module")
def film():
    """40 s with an index of about 20 KB, more than half of which is for audio."""
    return video(size=(64, 36), seconds=40, rate=25, options={"movflags": "faststart"})


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for bound, value in {"LARGE": 4096, "SLOW": 2048, "LOOK": 2048, "HEAD": 1024}.items():
        monkeypatch.setattr(large_index, bound, value)


def moov_of(content: bytes) -> Box:
    return next(box for box in boxes(memoryview(content), 0, len(content)) if box.type == b"moov")


def only_what_is_asked_for(file: File, monkeypatch):
    """A reader that has the beginning of the file, and does not read ahead."""
    monkeypatch.setattr(range_reader, "READ_AHEAD", 0)
    reader = file.reader()
    reader.load([(0, 4096)])
    return reader


def test_the_audio_part_is_not_fetched(film, monkeypatch):
    file, moov = File(film), moov_of(film)
    reader = only_what_is_asked_for(file, monkeypatch)
    layout = isobmff.scan(reader)
    ((start, end),) = layout.holes
    assert (end - start) > (moov.end - moov.start) / 3
    assert reader.bytes_read < moov.end - moov.start, "some of it was never fetched"
    assert reader.round_trips <= 4
    assert sum(gap_end - gap for gap, gap_end in reader.gaps(start, end)) > (end - start) / 2
    sounds = next(track for track in layout.movie.tracks if track.handler == b"soun")
    pictures = next(track for track in layout.movie.tracks if track.handler == b"vide")
    assert (sounds.codecs, sounds.samples) == ((b"mp4a",), 0)
    assert pictures.samples == 40 * 25


def with_sounds(film: bytes, count: int, odd: int = 0) -> bytes:
    """The film with its audio track `count` times, some of them larger by up to three times `odd` bytes."""
    moov = moov_of(film)
    header, pictures, sound, *rest = (film[box.start : box.end] for box in boxes(memoryview(film), moov.body, moov.end))
    header = header[:-4] + struct.pack(">I", count + 2)
    sounds = [grown(sound, number % 4 * odd) for number in range(count)]
    content = b"".join((header, pictures, *sounds, *rest))
    return film[: moov.start] + struct.pack(">I4s", 8 + len(content), b"moov") + content + film[moov.end :]


def grown(trak: bytes, by: int) -> bytes:
    """The track, with that number of bytes of free space at the end of its sample tables."""
    if by:
        for kind in (b"trak", b"mdia", b"minf", b"stbl"):
            at = trak.index(kind) - 4
            trak = trak[:at] + struct.pack(">I", struct.unpack_from(">I", trak, at)[0] + by) + trak[at + 4 :]
        trak += struct.pack(">I4s", by, b"free") + bytes(by - 8)
    return trak


@pytest.mark.parametrize("count", [10, 30])
@pytest.mark.parametrize(("odd", "round_trips"), [(0, 1), (20, 1), (3000, 3)])
def test_many_sound_tracks_are_found_in_few_round_trips(film, monkeypatch, count, odd, round_trips):
    """With the ends of the file and the key frame, two more: five at most, however many tracks there are."""
    content = with_sounds(film, count, odd)
    reader = only_what_is_asked_for(File(content), monkeypatch)
    moov = moov_of(content)
    holes = isobmff.scan(reader).holes
    assert len(holes) == count
    assert reader.round_trips - 1 <= round_trips
    if round_trips == 1:
        assert reader.bytes_read < (moov.end - moov.start) / 2


def test_a_film_that_states_a_wrong_number_of_tracks(film, monkeypatch):
    content = with_sounds(film, 10)
    header = moov_of(content).body
    end = header + struct.unpack_from(">I", content, header)[0]
    for stated in (0, 1, 3, 500, 0xFFFFFFFF):
        lying = content[: end - 4] + struct.pack(">I", stated) + content[end:]
        reader = only_what_is_asked_for(File(lying), monkeypatch)
        assert len(isobmff.scan(reader).holes) == 10
        assert reader.round_trips - 1 <= 3


def test_the_facts_are_the_same(monkeypatch):
    """Including the chapters, which in a MOV are samples of a track."""
    chapter = {"id": 1, "start": 0, "end": 40, "time_base": Fraction(1), "metadata": {"title": "Anfang"}}
    options = {"movflags": "faststart"}
    film = video("mov", size=(64, 36), seconds=40, rate=25, options=options, chapters=[chapter])
    film = film.replace(b"chpl", b"free")  # FFmpeg also writes them as Nero does
    without = inspect(File(film).reader(), Limits())
    monkeypatch.setattr(large_index, "LARGE", len(film))
    whole = inspect(File(film).reader(), Limits())
    assert (without.video, without.audio, without.poster) == (whole.video, whole.audio, whole.poster)
    assert [(each.end, each.title) for each in without.container.chapters] == [(40, "Anfang")]
    assert without.container.duration == pytest.approx(whole.container.duration, abs=0.05)


def test_if_the_file_is_cut_off_the_audio_part_is_read_too(film):
    assert isobmff.scan(File(cut(film, 0.98)).reader()).holes == ()
    with pytest.raises(Rejected, match="truncated"):
        inspect(File(cut(film, 0.98)).reader(), Limits())


def test_media_data_without_a_size(film):
    """A size of 0 means to the end of the file, so only the tables show whether it was cut off."""
    at = film.index(b"mdat") - 4
    assert isobmff.scan(File(film[:at] + bytes(4) + film[at + 4 :]).reader()).holes == ()


@pytest.mark.parametrize("gap", [b"", struct.pack(">I4s", 8, b"free"), struct.pack(">I4s", 16, b"wide") * 2 + bytes(8)])
def test_free_space_after_the_index(film, gap):
    """Only free space directly after it is supported; otherwise there is no hole."""
    at = moov_of(film).end
    content = film[:at] + gap + film[at:]
    holes = isobmff.scan(File(content).reader()).holes
    assert len(holes) == (gap[4:8] in (b"", b"free"))


def test_tables_before_their_description_are_not_skipped(film):
    """Unusual, so not skipped: the description would be lost with them."""
    description = film.index(b"stsd", film.index(b"soun")) - 4
    (size,) = struct.unpack(">I", film[description : description + 4])
    following = description + size
    (next_size,) = struct.unpack(">I", film[following : following + 4])
    swapped = film[following : following + next_size] + film[description:following]
    content = film[:description] + swapped + film[following + next_size :]
    assert isobmff.scan(File(content).reader()).holes == ()
    assert inspect(File(content).reader(), Limits()).audio


def test_tables_that_claim_more_than_their_track_end_with_it(film):
    """Otherwise what follows the track would be hidden, too."""
    sound = film.rindex(b"trak") - 4
    lying = bytearray(film)
    for kind in (b"mdia", b"minf", b"stbl"):
        at = film.index(kind, sound) - 4
        lying[at : at + 4] = struct.pack(">I", struct.unpack_from(">I", film, at)[0] + 1000)
    ((_, end),) = isobmff.scan(File(bytes(lying)).reader()).holes
    assert end == sound + struct.unpack_from(">I", film, sound)[0]


def test_what_follows_the_tables_in_a_track_is_read(film):
    sound, more = film.rindex(b"trak") - 4, struct.pack(">I4s", 24, b"udta") + bytes(16)
    size = struct.unpack_from(">I", film, sound)[0]
    moov = moov_of(film)
    content = bytearray(film[: sound + size] + more + film[sound + size :])
    for at, now in ((moov.start, moov.end - moov.start), (sound, size)):
        struct.pack_into(">I", content, at, now + len(more))
    ((_, end),) = isobmff.scan(File(bytes(content)).reader()).holes
    assert end == sound + size


def test_the_index_last():
    content = video(size=(64, 36), seconds=40, rate=25)
    assert len(isobmff.scan(File(content).reader()).holes) == 1
    assert inspect(File(content).reader(), Limits()).audio


def test_the_number_of_examined_boxes_is_limited():
    """Without a limit, four million empty boxes took fourteen seconds."""

    class Counting(range_reader.RangeReader):
        peeks = 0

        def peek(self, start, length):
            self.peeks += 1
            return super().peek(start, length)

    content = struct.pack(">I4s", 8 + 8 * 10_000, b"moov") + struct.pack(">I4s", 8, b"free") * 10_000
    reader = Counting(File(content).reader()._fetch, len(content), 1 << 30)
    assert large_index.sound_tables(reader, Box(b"moov", 0, 8, len(content))) == ()
    assert reader.peeks < 100
