"""The types of an upload's result document, whose schema is docs/result.schema.json.

Units: times in seconds, sizes in bytes or pixels, rates in bits per second, unless a name says otherwise.
"""

from typing import Any, Literal, NotRequired, TypedDict


class Source(TypedDict):
    """The version that was inspected."""

    bucket: str
    key: str
    versionId: str
    eTag: str
    size: int
    sequencer: str
    uploadedAt: str


class Cost(TypedDict):
    """The cost of the inspection."""

    durationMs: int
    requests: int  # ranges fetched
    roundTrips: int  # sequential rounds of these requests
    bytesRead: int


class Failure(TypedDict):
    """Why it is not a playable video."""

    reason: str
    message: str
    advice: str
    evidence: dict[str, Any]


class Chapter(TypedDict):
    """See facts.Chapter; the other types also have their counterparts there."""

    start: float
    end: float
    title: str | None


class Container(TypedDict):
    format: str
    brand: str | None
    duration: float | None
    bitRate: int | None
    creationTime: str | None
    recordedAt: str | None
    deviceMake: str | None
    deviceModel: str | None
    fastStart: bool | None
    fragmented: bool
    videoTracks: int
    audioTracks: int
    chapters: list[Chapter]


class Video(TypedDict):
    codec: str
    profile: str | None
    codecTag: str
    width: int
    height: int
    displayWidth: int
    displayHeight: int
    sampleAspectRatio: str
    rotation: int
    mirrored: bool
    frameRate: str | None
    frames: int | None
    bitRate: int | None
    fieldOrder: str
    pixelFormat: str
    bitDepth: int
    colorRange: str | None
    colorPrimaries: str | None
    colorTransfer: str | None
    colorMatrix: str | None
    hdr: str | None
    dolbyVisionProfile: int | None
    stereo: str | None
    spherical: str | None


class Audio(TypedDict):
    codec: str
    channels: int | None
    channelLayout: str | None
    sampleRate: int | None
    bitRate: int | None
    language: str | None


class Poster(TypedDict):
    key: str
    width: int
    height: int
    time: float | None


class Storyboard(TypedDict):
    key: str
    vttKey: str
    columns: int
    rows: int
    tileWidth: int
    tileHeight: int
    frames: int


class Result(TypedDict):
    """A success has everything except `failure`; a failure has none of the fields after it."""

    schemaVersion: str
    status: Literal["success", "failure"]
    source: Source
    resultBucket: str  # the stack's bucket, which may differ from the source's
    resultKey: str
    inspection: Cost
    failure: NotRequired[Failure]
    container: NotRequired[Container]
    video: NotRequired[Video]
    audio: NotRequired[list[Audio]]
    poster: NotRequired[Poster | None]
    storyboard: NotRequired[Storyboard | None]
    warnings: NotRequired[list[str]]
