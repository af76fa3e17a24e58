"""Profiles as a picture: a group of horizontal bars for each family, one bar for each artifact."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from device_bench.profile.families import BETWEEN
from device_bench.profile.report import families_by_time
from device_bench.profile.summary import Profile
from lvt.errors import UserError

_SUFFIX = ".png"
_COLOURS = ("#3b6ea8", "#e08a1e", "#4c9a57", "#b5473c", "#7a5ba6", "#8a8a8a")
_TEXT = 15
_BAR, _GAP, _MARGIN = 18, 12, 20
_NAMES, _LENGTH, _FIGURES = 200, 640, 150
_TITLE = "Where the time goes: ms of one profiled inference, share of it"


def check_name(path: Path) -> None:
    """Refuses before anything is measured.

    Raises:
        UserError: not the name of a PNG picture.
    """
    if path.suffix.lower() != _SUFFIX:
        raise UserError(f"--profile-chart writes PNG pictures: {path.name} should end in {_SUFFIX}")


def draw_chart(profiles: list[tuple[str, Profile]]) -> Image.Image:
    """Bars of one scale, the most costly family first.

    Args:
        profiles: with what each is called in the legend.
    """
    groups = _groups([profile for _, profile in profiles])
    legend = _TEXT + 8
    group = _BAR * len(profiles) + _GAP
    top = 2 * _MARGIN + _TEXT + legend * len(profiles)
    size = (_NAMES + _LENGTH + _FIGURES + 2 * _MARGIN, top + group * len(groups) + _MARGIN)
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=_TEXT)
    draw.text((_MARGIN, _MARGIN), _TITLE, "black", font)
    for index, (name, profile) in enumerate(profiles):
        y = _MARGIN + _TEXT + 10 + index * legend
        draw.rectangle((_MARGIN, y + 2, _MARGIN + 14, y + 16), _colour(index))
        text = f"{name}: {profile.inference_ms:.1f} ms, {profile.slowdown:.2f} times the timed run"
        draw.text((_MARGIN + 24, y), text, "black", font)

    longest = max(max(times) for _, times in groups)
    left = _MARGIN + _NAMES
    for row, (name, times) in enumerate(groups):
        y = top + row * group
        middle = y + (_BAR * len(times) - _TEXT) // 2 - 2
        draw.text((left - 10 - font.getlength(name), middle), name, "black", font)
        for index, ms in enumerate(times):
            bar = y + index * _BAR
            length = round(_LENGTH * max(ms, 0.0) / longest)
            draw.rectangle((left, bar + 1, left + length, bar + _BAR - 2), _colour(index))
            figure = f"{ms:.2f}  {ms / profiles[index][1].inference_ms:.0%}"
            draw.text((left + length + 8, bar - 1), figure, "black", font)
    draw.line((left, top - 4, left, size[1] - _MARGIN), "black")
    return picture


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _groups(profiles: list[Profile]) -> list[tuple[str, list[float]]]:
    """Name and milliseconds of each artifact, of the families and what lies between operators."""
    times = [profile.by_family() for profile in profiles]
    families = [
        (name, [entry.get(name, 0.0) for entry in times]) for name in families_by_time(profiles)
    ]
    return [*families, (BETWEEN, [profile.between_ms for profile in profiles])]
