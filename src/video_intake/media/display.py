"""How to display a decoded picture: its crop, orientation and colors."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc
from av.video.stream import VideoStream

from video_intake.media import orientation
from video_intake.media.orientation import Orientation

HDR: Final[dict[int, str]] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}  # names in ITU-R BT.2100
WIDE: Final[dict[int, str]] = {ColorPrimaries.BT2020: "BT2020", ColorPrimaries.SMPTE432: "P3"}

# AVColorSpace, ITU-T H.273: the matrices that FFmpeg's scaler supports, with its names
MATRICES: Final = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}
UNMARKED: Final = frozenset({0, 2, 3})  # RGB, unspecified, reserved
DOLBY_ALONE: Final = frozenset({5, 20})  # Dolby Vision profiles without a compatible base layer
DOLBY_AV1: Final = 10  # also without one if its compatibility ID is 0


UPRIGHT: Final = Orientation()


class Unshowable(ValueError):
    """The colors cannot be converted."""


@dataclass(frozen=True)
class Display:
    """How to display the pictures of a track."""

    aspect: Fraction = Fraction(1)  # of a stored pixel
    turned: Orientation = UPRIGHT
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)  # hidden pixels at the top, bottom, left and right
    transfer: int = ColorTrc.UNSPECIFIED
    dolby_vision: int | None = None  # its profile
    unshowable: str = ""  # why there can be no picture

    @property
    def hdr(self) -> str | None:
        """ "PQ" or "HLG", for high dynamic range."""
        return HDR.get(self.transfer)

    def shown(self, width: int, height: int) -> tuple[int, int]:
        """The size of the visible part of a stored picture in square pixels, before rotation."""
        top, bottom, left, right = self.crop
        return orientation.square(width - left - right, height - top - bottom, self.aspect)


def of(stream: VideoStream, frame: VideoFrame) -> Display:
    """Reads the container and a decoded `frame`, for properties that only the bit stream has."""
    data = stream.codec_context.coded_side_data
    dolby = data.get("dovi_conf") or b""  # AVDOVIDecoderConfigurationRecord: eight bytes, a number each
    profile, compatible = (dolby[2], dolby[7]) if len(dolby) >= 8 else (None, 0)
    alone = profile in DOLBY_ALONE or (profile == DOLBY_AV1 and not compatible)
    return Display(
        pixel_aspect(stream),
        orientation.read(data.get("display_matrix")),
        _crop(data.get("frame_cropping") or b"", frame),
        frame.color_trc,
        profile,
        f"Dolby Vision profile {profile} has colors that only Dolby Vision decoders can show" if alone else "",
    )


def pixel_aspect(stream: VideoStream) -> Fraction:
    """The pixel aspect ratio from the container or else the codec; 1 if neither states it."""
    for stated in (stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio):
        if stated and stated.numerator > 0 and stated.denominator > 0:
            return Fraction(stated.numerator, stated.denominator)
    return Fraction(1)


def matrix(frame: VideoFrame, hdr: str | None) -> str:
    """The matrix from YUV to RGB; if none is marked, that of HDR or the size, as in players.

    Raises Unshowable.
    """
    if frame.colorspace in MATRICES:
        return MATRICES[frame.colorspace]
    if frame.colorspace not in UNMARKED and not frame.format.is_rgb:
        raise Unshowable(f"its color encoding is not supported (matrix {frame.colorspace})")
    if hdr or frame.color_primaries == ColorPrimaries.BT2020:
        return "BT2020"
    return "ITU709" if frame.width >= 1280 or frame.height > 576 else "ITU601"


def primaries(frame: VideoFrame, hdr: str | None) -> str | None:
    """The primaries, if they are wider than those of a JPEG."""
    if frame.color_primaries in WIDE:
        return WIDE[frame.color_primaries]
    unmarked = frame.color_primaries in (0, ColorPrimaries.UNSPECIFIED)
    return "BT2020" if hdr or (unmarked and MATRICES.get(frame.colorspace) == "BT2020") else None


def _crop(cropping: bytes, frame: VideoFrame) -> tuple[int, int, int, int]:
    """The clean aperture (`clap`, ISO/IEC 14496-12, 12.1.4), if it leaves anything of the picture."""
    sides = [int.from_bytes(bytes(cropping[at : at + 4]), "little") for at in range(0, 16, 4)]
    top, bottom, left, right = sides
    if top + bottom >= frame.height or left + right >= frame.width:
        return 0, 0, 0, 0
    return top, bottom, left, right
