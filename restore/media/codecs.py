"""Which encoder, with which pixel format and settings, in which container: decided, and refused, before rendering."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import torch
from av.codec import Codec
from av.video.codeccontext import VideoCodecContext

from restore.errors import FormatError
from restore.frames import PixelFormat, VideoFormat
from restore.media.options import OutputOptions
from restore.media.planes import planar_format
from restore.media.tags import MATRICES, PRIMARIES, RANGES, TRANSFERS, code, output_color

# SVT-AV1 writes its banner to stderr past FFmpeg's log; this is the only switch it has.
os.environ.setdefault("SVT_LOG", "1")

CONTAINERS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """What is known of an encoder. Unknown ones (hardware) get the plain defaults."""

    encoder: str
    containers: frozenset[str]
    quality: str | None = None
    """Name of its constant-quality option."""
    default_quality: str | None = None
    preset: str | None = None
    """Its default preset."""
    options: dict[str, str] = field(default_factory=dict)
    lossless: bool = False
    even: bool = False
    """Subsampled sizes must be multiples of the subsampling."""
    excluded: frozenset[str] = frozenset()
    """Pixel formats it lists but that do not survive our way (alpha as side data)."""


_ISO = frozenset({"mp4", "mov", "matroska"})
CODECS = {
    "x264": CodecSpec("libx264", _ISO, "crf", "17", "medium", even=True, excluded=frozenset({"gray", "gray10le"})),
    "x265": CodecSpec(
        "libx265", _ISO, "crf", "18", "medium", even=True,
        excluded=frozenset({"yuva420p", "yuva420p10le", "gray", "gray10le", "gray12le"}),
    ),
    "av1": CodecSpec("libsvtav1", _ISO | {"webm"}, "crf", "22", "6", even=True),
    "vp9": CodecSpec(
        "libvpx-vp9", frozenset({"webm", "matroska", "mp4"}), "crf", "20", None,
        {"b": "0", "row-mt": "1", "auto-alt-ref": "0", "lag-in-frames": "0"}, even=True,
        excluded=frozenset({"yuva420p", "yuva422p", "yuva444p", "gbrap"}),
    ),
    "ffv1": CodecSpec(
        "ffv1", frozenset({"matroska"}), lossless=True,
        excluded=frozenset({"gbrpf32le", "gbrpf16le", "grayf16le", "yaf16le"}),
        options={"level": "3", "g": "1", "slicecrc": "1", "slices": "16", "coder": "1", "context": "0"},
    ),
    "prores": CodecSpec("prores_ks", frozenset({"mov", "matroska"}), options={"vendor": "apl0"}),
    "dnxhr": CodecSpec("dnxhd", frozenset({"mov"})),
}  # fmt: skip
_ALIASES = {
    "h264": "x264", "h265": "x265", "hevc": "x265", "svtav1": "av1",
    **{spec.encoder: name for name, spec in CODECS.items()},
}  # fmt: skip

_X265_SMALLEST = 32
"""x265 4.1 crashes on some smaller pictures (34x18)."""

ACROSS_SEGMENTS = frozenset(
    {"b", "b:v", "bitrate", "maxrate", "bufsize", "minrate", "pass", "passlogfile", "stats", "flags", "rc", "tbr",
     "mbr", "vbv-maxrate", "vbv-bufsize", "abr", "2pass", "multi-pass-opt-analysis"}
)  # fmt: skip
"""Encoder options that need to see the whole film: a film is encoded in independent segments."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Everything an encoder is opened with; a segment's key contains all of it."""

    container: str
    encoder: str
    format: VideoFormat
    """What comes out: size, sampling, depth, colour tags, rate."""
    av_format: str
    """The encoder's own name for the pixel format."""
    options: dict[str, str]
    threads: int
    notes: tuple[str, ...] = ()
    """Decisions a person should hear of (4:4:4 because of an odd size)."""

    def open(self) -> VideoCodecContext:
        """A fresh encoder. Raises FormatError when it refuses its settings."""
        context = cast(VideoCodecContext, VideoCodecContext.create(self.encoder, "w"))
        self.configure(context)
        context.flags |= av.codec.context.Flags.global_header
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            size = f"{self.format.width}x{self.format.height}"
            reason = getattr(error, "strerror", None) or error
            raise FormatError(
                f"encoder {self.encoder} refuses {size} {self.av_format} with {self.options} ({reason}); "
                "try --codec ffv1 in an .mkv, or another --pix-fmt"
            ) from None
        if context.options:  # FFmpeg leaves what nobody took
            raise FormatError(
                f"encoder {self.encoder} has no option {', '.join(sorted(context.options))}; see -e, --preset"
            )
        return context

    def configure(self, context: VideoCodecContext) -> None:
        """Set up an encoder context, here and again when the film is joined."""
        fmt = self.format
        context.width, context.height, context.pix_fmt = fmt.width, fmt.height, self.av_format
        context.time_base = fmt.time_base
        context.framerate = fmt.frame_rate
        context.sample_aspect_ratio = fmt.sample_aspect
        context.color_primaries = code(PRIMARIES, fmt.color.primaries)
        context.color_trc = code(TRANSFERS, fmt.color.transfer)
        context.colorspace = code(MATRICES, fmt.color.matrix)
        context.color_range = code(RANGES, fmt.color.range)
        context.thread_count = self.threads
        if self.encoder in ("libvpx-vp9", "dnxhd", "prores_ks", "ffv1"):
            context.thread_type = "SLICE"
        context.options = dict(self.options)
        if fmt.color.chroma_location != "left" and fmt.pixel.chroma_shift == (1, 1):
            context.options["chroma_sample_location"] = fmt.color.chroma_location

    def describe(self) -> dict[str, object]:
        """As JSON values, for keys and for people."""
        fmt = self.format
        return {
            "container": self.container, "encoder": self.encoder, "pixel_format": self.av_format,
            "size": [fmt.width, fmt.height], "sample_aspect": str(fmt.sample_aspect), "time_base": str(fmt.time_base),
            "frame_rate": str(fmt.frame_rate), "options": self.options, "threads": self.threads,
            "color": [fmt.color.primaries, fmt.color.transfer, fmt.color.matrix, fmt.color.range],
        }  # fmt: skip


def container_of(path: Path) -> str:
    """FFmpeg's name of the container an output's name asks for. Raises FormatError for unknown ones."""
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(CONTAINERS)
        raise FormatError(
            f"{path.name}: cannot tell a container from the name; use one of {known}, or a picture's name like .png"
        ) from None


def _spec_of(options: OutputOptions, container: str, pixel: PixelFormat) -> CodecSpec:
    name = options.codec
    if name is None:
        depth = planar_format(options.pix_fmt)[0].depth if options.pix_fmt else pixel.depth
        if options.master:
            name = "ffv1"
        elif container == "webm":
            plain = pixel.model == "gray" or (pixel.model == "yuv" and pixel.chroma_shift == (1, 1))
            name = "av1" if plain and pixel.depth <= 10 else "vp9"
        else:
            name = "x264" if depth == 8 else "x265"
    name = _ALIASES.get(name.lower(), name.lower())
    if name in CODECS:
        spec = CODECS[name]
    else:
        try:
            known = Codec(name, "w").type == "video"
        except (av.FFmpegError, ValueError):
            known = False
        if not known:
            raise FormatError(f"--codec {name}: no such encoder; known: {', '.join(CODECS)}, and FFmpeg's own names")
        spec = CodecSpec(
            name, frozenset(CONTAINERS.values()), "cq" if name.endswith("_nvenc") else None, "19", even=True
        )
    if options.master and not spec.lossless:
        raise FormatError(f"--master is lossless FFV1: leave out --codec {options.codec}")
    if container not in spec.containers:
        suffixes = [suffix for suffix, known in CONTAINERS.items() if known in spec.containers]
        raise FormatError(f"{spec.encoder} does not go into {container}: name the output {' or '.join(suffixes)}")
    return spec


def _candidates(spec: CodecSpec) -> dict[PixelFormat, str]:
    """The encoder's pixel formats by our planar twin; its planar name wins over a packed one."""
    found: dict[PixelFormat, str] = {}
    for known in Codec(spec.encoder, "w").video_formats or []:
        if known.name in spec.excluded or known.name.startswith("yuvj"):
            continue
        try:
            pixel, _ = planar_format(known.name)
        except ValueError:
            continue
        if pixel not in found or known.name == pixel.name:
            found[pixel] = known.name
    return found


def choose_pixel(source: PixelFormat, available: Iterable[PixelFormat], lossless: bool) -> PixelFormat | None:
    """The layout that loses nothing at the least cost: same model and sampling if it can be, depth never less.

    RGB becomes 4:4:4 YUV except in lossless codecs; grey becomes 4:2:0 where a codec has no grey. None if nothing fits.
    """
    wanted = source
    if source.model == "rgb" and not lossless:
        wanted = replace(source, model="yuv")

    def cost(pixel: PixelFormat) -> tuple[int, int, int] | None:
        if pixel.depth < wanted.depth or (pixel.is_float != wanted.is_float) or pixel.alpha != wanted.alpha:
            return None
        if pixel.model != wanted.model and not (wanted.model == "gray" and pixel.model == "yuv"):
            return None
        if wanted.model == "yuv" and any(
            have > want for have, want in zip(pixel.chroma_shift, wanted.chroma_shift, strict=True)
        ):
            return None
        extra = sum(abs(a - b) for a, b in zip(pixel.chroma_shift, wanted.chroma_shift, strict=True))
        if wanted.model == "gray":
            extra = 2 - sum(pixel.chroma_shift)
        return int(pixel.model != wanted.model), pixel.depth - wanted.depth, extra

    costs = {pixel: price for pixel in available if (price := cost(pixel)) is not None}
    return min(costs, key=lambda pixel: costs[pixel]) if costs else None


def _pick(spec: CodecSpec, fmt: VideoFormat, options: OutputOptions) -> tuple[PixelFormat, str, tuple[str, ...]]:
    available = _candidates(spec)
    if options.pix_fmt:
        pixel, _ = planar_format(options.pix_fmt)
        if pixel not in available:
            raise FormatError(
                f"{spec.encoder} cannot hold {options.pix_fmt}; it can: {', '.join(sorted(set(available.values())))}"
            )
        picked: PixelFormat | None = pixel
    else:
        picked = choose_pixel(fmt.pixel, available, spec.lossless)
    if picked is None and fmt.pixel.alpha:
        raise FormatError(
            f"{spec.encoder} has no transparency: use --codec prores or ffv1, or drop it with --pix-fmt yuv444p"
        )
    if picked is None:
        way = "--codec ffv1 --pix-fmt gbrp16le (.mkv)" if fmt.pixel.is_float else "--codec ffv1 (.mkv), or --pix-fmt"
        raise FormatError(f"{spec.encoder} cannot hold {fmt.pixel.name} without loss: use {way}")
    sx, sy = picked.chroma_shift
    if spec.even and picked.model == "yuv" and (fmt.width % (1 << sx) or fmt.height % (1 << sy)):
        full = replace(picked, chroma_shift=(0, 0))
        if options.pix_fmt or full not in available:
            raise FormatError(
                f"{spec.encoder} needs an even size for {picked.name}, and this is {fmt.width}x{fmt.height}: "
                "use --codec x264 or ffv1 (.mkv) without --pix-fmt, or another --height/--width"
            )
        note = f"{fmt.width}x{fmt.height} is odd, and 4:2:0 is not possible: written as {full.name}"
        return full, available[full], (note,)
    return picked, available[picked], ()


def _encoder_options(spec: CodecSpec, pixel: PixelFormat, options: OutputOptions) -> dict[str, str]:
    asked = dict(options.encoder_options)
    refused = ACROSS_SEGMENTS & {
        *asked,
        *(word.split("=")[0] for key in asked if _nested(key) for word in asked[key].split(":")),
    }
    if refused:
        raise FormatError(
            f"-e {', '.join(sorted(refused))}: needs the whole film, but segments are encoded independently; use --crf"
        )
    settings = dict(spec.options)
    if options.crf is not None and spec.quality is None:
        raise FormatError(f"{spec.encoder} has no --crf; use -e for its own options")
    if spec.quality:
        settings[spec.quality] = f"{options.crf:g}" if options.crf is not None else str(spec.default_quality)
    if options.preset or spec.preset:
        settings["preset"] = options.preset or str(spec.preset)
    if spec.encoder == "prores_ks":
        settings["profile"] = "3" if pixel.chroma_shift == (1, 0) else "4"
    if spec.encoder == "dnxhd":
        deep = "dnxhr_444" if pixel.chroma_shift == (0, 0) else "dnxhr_hqx"
        settings["profile"] = deep if pixel.depth > 8 else "dnxhr_hq"
    if spec.encoder == "libx265":
        settings["x265-params"] = "log-level=none"
    if spec.encoder == "libx264" and torch.backends.cpu.get_cpu_capability() == "AVX512":
        # With AVX-512, x264 (core 165) reads memory nobody has written wherever a row of macroblocks is no multiple of
        # eight (mbtree): the same pictures give other bytes each time, and decode a little differently.
        settings["x264-params"] = "asm=avx2"
    for key, value in asked.items():
        settings[key] = f"{settings[key]}:{value}" if _nested(key) and key in settings else value
    return settings


def _nested(key: str) -> bool:
    """Whether an option holds the encoder's own options, as ``x265-params=key=value:key=value``."""
    return key.endswith("-params")


def hdr_options(encoder: str, mastering: str | None, light: str | None) -> dict[str, str]:
    """Encoder options that write HDR10 metadata (SMPTE ST 2086, CTA-861.3), where the encoder can."""
    pairs = {"libx265": ("master-display", "max-cll", "x265-params", "hdr10=1"),
             "libx264": ("mastering-display", "cll", "x264-params", ""),
             "libsvtav1": ("mastering-display", "content-light", "svtav1-params", "")}.get(encoder)  # fmt: skip
    if pairs is None or not (mastering or light):
        return {}
    display_key, light_key, option, extra = pairs
    if encoder == "libsvtav1" and mastering:
        mastering = _svt_display(mastering)
    parts = [extra, f"{display_key}={mastering}" if mastering else "", f"{light_key}={light}" if light else ""]
    return {option: ":".join(part for part in parts if part)}


def _svt_display(x265: str) -> str:
    """x265 counts in 0.00002 and 0.0001 cd/m2; SVT-AV1 takes plain numbers."""
    points = x265.replace(")", "),").split("),")[:-1]
    words = []
    for point in points:
        name, numbers = point.split("(")
        unit = 10000 if name == "L" else 50000
        first, second = (Fraction(int(number), unit) for number in numbers.split(","))
        words.append(f"{name}({float(first):.5f},{float(second):.5f})")
    return "".join(words)


def _with_slices(settings: EncoderSettings) -> EncoderSettings:
    """FFV1 cuts odd subsampled sizes only into certain numbers of slices: the one nearest to ours that it takes."""
    wanted = int(settings.options["slices"])
    for slices in sorted(range(1, 129), key=lambda number: abs(number - wanted)):
        trial = replace(settings, options={**settings.options, "slices": str(slices)})
        try:
            trial.open()
        except FormatError:
            continue
        return trial
    return settings


def encoder_settings(
    path: Path, fmt: VideoFormat, options: OutputOptions, hdr: tuple[str | None, str | None] = (None, None)
) -> EncoderSettings:
    """Decide everything about encoding `fmt` into the container that `path` names, and try the encoder.

    Raises FormatError naming an alternative where it cannot be done.
    """
    container = container_of(path)
    if options.pix_fmt:
        try:
            planar_format(options.pix_fmt)
        except ValueError:
            raise FormatError(f"--pix-fmt {options.pix_fmt}: no such pixel format") from None
    spec = _spec_of(options, container, fmt.pixel)
    pixel, av_format, notes = _pick(spec, fmt, options)
    color = output_color(fmt.color, fmt.pixel, pixel, options.output_color)
    settings = _encoder_options(spec, pixel, options)
    for option, value in hdr_options(spec.encoder, *hdr).items():
        settings[option] = f"{settings[option]}:{value}" if option in settings else value
    threads = options.threads or min(os.cpu_count() or 1, 16)
    result = EncoderSettings(
        container, spec.encoder, replace(fmt, pixel=pixel, color=color), av_format, settings, threads, notes
    )
    if spec.encoder == "libx265" and min(fmt.width, fmt.height) < _X265_SMALLEST:
        raise FormatError(
            f"libx265 cannot hold {fmt.width}x{fmt.height} (at least {_X265_SMALLEST} a side); "
            "try --codec ffv1 in an .mkv"
        )
    if spec.encoder == "ffv1" and "slices" not in options.encoder_options:
        result = _with_slices(result)
    result.open()
    with av.open(os.devnull, "w", format=container) as trial:
        try:
            trial.add_stream(spec.encoder, rate=fmt.frame_rate)
        except ValueError:
            raise FormatError(f"{spec.encoder} does not go into {container}: name the output .mkv") from None
    return result
