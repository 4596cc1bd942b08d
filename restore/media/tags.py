"""Colour tags: ITU-T H.273 code points and their FFmpeg names, and what to assume where a file says nothing."""

from __future__ import annotations

from typing import Literal, cast

from restore.errors import OptionError
from restore.frames import ColorInfo, PixelFormat

PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100",
    10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12",
    16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp",
}  # fmt: skip
RANGES = {1: "limited", 2: "full"}
UNSPECIFIED = 2

CENTER_SITED_CODECS = frozenset({"mjpeg", "mpeg1video", "jpeg2000", "theora"})
"""Codecs whose 4:2:0 chroma lies in the middle of its four pixels; all others are left-sited. FFmpeg's own
default, and all a decoder can know: PyAV does not expose the tag."""


def code(table: dict[int, str], name: str) -> int:
    """The H.273 code point of a name; `UNSPECIFIED` for one it does not have (a scanner's log)."""
    return next((number for number, known in table.items() if known == name), UNSPECIFIED)


def complete(
    pixel: PixelFormat, height: int, codec: str, codes: tuple[int, int, int, int], full_by_format: bool
) -> ColorInfo:
    """What the tags say, and for each unspecified one what is assumed: BT.601 up to 576 lines, BT.709 above.

    `codes` are the primaries, transfer, matrix and range as H.273 numbers (FFmpeg's 2 = unspecified; 0 for range).
    """
    assumed: set[str] = set()
    small = height <= 576
    defaults = {
        "primaries": ("bt470bg" if height in {288, 576} else "smpte170m") if small else "bt709",
        "transfer": "smpte170m" if small else "bt709",
        "matrix": ("bt470bg" if height in {288, 576} else "smpte170m") if small else "bt709",
    }
    if pixel.model == "rgb":
        linear = "linear" if pixel.is_float else "iec61966-2-1"
        defaults = {"primaries": "bt709", "transfer": linear, "matrix": "gbr"}
    found: dict[str, str] = {}
    tables = {"primaries": PRIMARIES, "transfer": TRANSFERS, "matrix": MATRICES}
    for (tag, table), number in zip(tables.items(), codes, strict=False):
        name = table.get(number)
        if tag == "matrix" and (pixel.model == "rgb") != (name == "gbr"):
            name = None  # a YUV stream cannot be "gbr", nor RGB anything else: the tag is a mistake
        if name is None:
            name = defaults[tag]
            assumed.add(tag)
        found[tag] = name
    value_range = RANGES.get(codes[3])
    if pixel.model == "rgb" or full_by_format:
        value_range = "full"
    elif value_range is None:
        value_range = "limited"
        assumed.add("range")
    return ColorInfo(
        found["primaries"],
        found["transfer"],
        found["matrix"],
        cast(Literal["limited", "full"], value_range),
        "center" if codec in CENTER_SITED_CODECS else "left",
        frozenset(assumed),
    )


def output_color(source: ColorInfo, source_pixel: PixelFormat, pixel: PixelFormat, target: str | None) -> ColorInfo:
    """The tags of the output: the source's own, unless the model of the samples changes or a conversion is asked for.

    Raises OptionError for a `target` that is not known.
    """
    if target not in (None, "source", "bt709"):
        raise OptionError(f"--output-color {target}: only source and bt709 are known")
    kept = frozenset(source.assumed) - {"matrix", "range"}
    if target == "bt709":
        matrix = "gbr" if pixel.model == "rgb" else "bt709"
        return ColorInfo("bt709", "bt709", matrix, "full" if pixel.model == "rgb" else "limited", "left")
    transfer = "bt709" if source.transfer == "linear" and not pixel.is_float else source.transfer
    if pixel.model == "rgb":
        return ColorInfo(source.primaries, transfer, "gbr", "full", "left", kept)
    if source_pixel.model == "rgb":
        return ColorInfo(source.primaries, transfer, "bt709", "limited", "left", kept)
    return source
