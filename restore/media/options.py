"""What a person may say about reading the source and writing the output. Imports neither av nor torch."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class InputOptions(BaseModel):
    """The recipe's ``[input]``: how to read the source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: str | None = Field(
        None,
        description="Frame rate of a sequence of pictures: 24, 23.976 or 24000/1001. "
        "Needed unless the pictures' headers say it.",
    )
    audio: str | None = Field(
        None, description="Sound file to go with a sequence of pictures (or instead of a film's own)."
    )
    tracks: tuple[int, ...] = Field(
        (), description="Sound tracks to repair, counted from 1; all if not given. The others are copied."
    )
    hold: bool = Field(False, description="Fill gaps in the numbering of a sequence by holding the picture before.")
    progressive: bool = Field(False, description="Treat the source as progressive, whatever its flags say.")
    transfer: Literal["auto", "display", "linear", "log"] = Field(
        "auto",
        description="Scale of the samples: log (Cineon) and linear scans are brought to a display-like scale for the "
        "networks and back, reversibly. auto goes by the source's tags.",
    )

    @field_validator("fps", mode="before")
    @classmethod
    def _fps(cls, value: Any) -> Any:
        if value is None:
            return None
        return str(value) if parse_rate(str(value)) else value

    @property
    def frame_rate(self) -> Fraction | None:
        """`fps` as an exact fraction."""
        return None if self.fps is None else parse_rate(self.fps)


def parse_rate(text: str) -> Fraction:
    """24, 23.976 (understood as 24000/1001), 30000/1001. Raises ValueError for anything else."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text!r} is not a frame rate: write 24, 23.976 or 24000/1001") from None
    if not 0 < rate <= 1000:
        raise ValueError(f"a frame rate of {text} is out of range (0 to 1000)")
    if rate.denominator != 1 and "." in text:
        ntsc = Fraction(round(rate) * 1000, 1001)
        if abs(ntsc - rate) < Fraction(1, 200):
            return ntsc
    return rate


class OutputOptions(BaseModel):
    """The recipe's ``[output]``: how to write the result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codec: str | None = Field(
        None,
        description="Encoder: x264, x265, av1, vp9, ffv1, prores, dnxhr, or any of FFmpeg's (h264_nvenc, ...). "
        "Chosen by the output's name and depth if not given.",
    )
    crf: float | None = Field(None, ge=0, le=63, description="Constant quality; lower is better and larger.")
    preset: str | None = Field(
        None, description="Speed against size, in the encoder's own words (medium, slow, 6, ...)."
    )
    pix_fmt: str | None = Field(None, description="Pixel format of the output, as FFmpeg names it (yuv420p10le, ...).")
    encoder_options: dict[str, str] = Field(
        default_factory=dict, description="Further options for the encoder, key=value; may be repeated."
    )
    master: bool = Field(False, description="An archive master: FFV1 level 3 with checksums, sound lossless.")
    output_color: Literal["source", "bt709"] = Field(
        "source", description="Keep the source's matrix and primaries, or convert to BT.709."
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Encoder threads, fixed for the whole job because some encoders' bytes depend on them.",
    )
    quality: int = Field(95, ge=1, le=100, description="Quality of JPEG and WebP pictures.")
    audio_codec: str | None = Field(
        None,
        description="Codec of repaired sound: aac, mp3, opus, ac3, flac, alac, pcm16, pcm24, ... The track's own, "
        "where the container holds it, if not given. Sound that is not repaired is copied.",
    )
    audio_bitrate: int | None = Field(
        None, ge=8, le=6000, description="Bit rate of repaired sound in kb/s; at least the track's own if not given."
    )
    skip_streams: tuple[int, ...] = Field((), description="Streams of the source, by number, to leave out.")
    discard_segments: bool = Field(False, description="Delete the rendered segments once the film is joined.")

    @field_validator("encoder_options", mode="before")
    @classmethod
    def _strings(cls, value: Any) -> Any:
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else value

    def effective(self) -> dict[str, Any]:
        """What can change the bytes of a segment."""
        return self.model_dump(
            mode="json", exclude={"skip_streams", "discard_segments", "audio_codec", "audio_bitrate"}
        )
