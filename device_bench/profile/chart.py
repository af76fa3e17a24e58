"""Profiles as a PNG picture: a group of bars per operator family, one bar per model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from device_bench.profile.families import BETWEEN
from device_bench.profile.tables import families_by_time
from device_bench.results.operator_profile import OperatorProfile
from lvt.errors import UserError

_SUFFIX = ".png"
_COLOURS = ("#3b6ea8", "#e08a1e", "#4c9a57", "#b5473c", "#7a5ba6", "#8a8a8a")
_TEXT_SIZE = 15
_BAR, _GAP, _MARGIN = 18, 12, 20
_NAME_WIDTH, _BAR_WIDTH, _VALUE_WIDTH = 200, 640, 150
_TITLE = "Where the time goes: ms and share of one profiled inference"


def check_chart_name(path: Path) -> None:
    """Check the name of the picture before anything is measured.

    Raises:
        UserError: it is not the name of a PNG file.
    """
    if path.suffix.lower() != _SUFFIX:
        raise UserError(f"--profile-chart writes a PNG file: {path.name} should end in {_SUFFIX}")


def draw_chart(profiles: Sequence[tuple[str, OperatorProfile]]) -> Image.Image:
    """Draw bars on a common scale, the slowest family first.

    Args:
        profiles: at least one, each with its name in the legend.
    """
    groups = _bar_groups([profile for _, profile in profiles])
    legend_row = _TEXT_SIZE + 8
    group_height = _BAR * len(profiles) + _GAP
    top = 2 * _MARGIN + _TEXT_SIZE + legend_row * len(profiles)
    width = _NAME_WIDTH + _BAR_WIDTH + _VALUE_WIDTH + 2 * _MARGIN
    height = top + group_height * len(groups) + _MARGIN
    picture = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=_TEXT_SIZE)
    draw.text((_MARGIN, _MARGIN), _TITLE, "black", font)
    for index, (name, profile) in enumerate(profiles):
        y = _MARGIN + _TEXT_SIZE + 10 + index * legend_row
        draw.rectangle((_MARGIN, y + 2, _MARGIN + 14, y + 16), _colour(index))
        text = f"{name}: {profile.inference_ms:.1f} ms, {profile.slowdown:.2f} times the timed run"
        draw.text((_MARGIN + 24, y), text, "black", font)

    longest = max(max(times) for _, times in groups)
    left = _MARGIN + _NAME_WIDTH
    for row, (name, times) in enumerate(groups):
        y = top + row * group_height
        middle = y + (_BAR * len(times) - _TEXT_SIZE) // 2 - 2
        draw.text((left - 10 - font.getlength(name), middle), name, "black", font)
        for index, ms in enumerate(times):
            bar = y + index * _BAR
            length = round(_BAR_WIDTH * max(ms, 0.0) / longest)
            draw.rectangle((left, bar + 1, left + length, bar + _BAR - 2), _colour(index))
            value = f"{ms:.2f}  {ms / profiles[index][1].inference_ms:.0%}"
            draw.text((left + length + 8, bar - 1), value, "black", font)
    draw.line((left, top - 4, left, height - _MARGIN), "black")
    return picture


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _bar_groups(profiles: Sequence[OperatorProfile]) -> list[tuple[str, list[float]]]:
    """Name and milliseconds per model, for each family and for the time between operators."""
    families = [
        (name, [profile.families.get(name, 0.0) for profile in profiles])
        for name in families_by_time(profiles)
    ]
    return [*families, (BETWEEN, [profile.between_ms for profile in profiles])]
