"""Limits of panoptic exports: numbers of boxes, input sizes."""

from __future__ import annotations

from dataclasses import replace

from lvt.config import Size
from lvt.errors import UserError
from lvt.panoptic.config import PADDING_MULTIPLE, PanopticConfig


def with_limits(
    config: PanopticConfig, proposals: int | None, detections: int | None
) -> PanopticConfig:
    """The configuration with at most so many proposals and detections; None keeps a number.

    Raises:
        UserError: a limit below 1.
    """
    for name, limit in (("--proposals", proposals), ("--detections", detections)):
        if limit is not None and limit < 1:
            raise UserError(f"{name} {limit} is not possible; give at least 1")
    count = min(config.proposals.count, proposals or config.proposals.count)
    kept = min(config.detection.count, detections or config.detection.count, count)
    per_level = min(config.proposals.per_level, 2 * count)
    return replace(
        config,
        proposals=replace(config.proposals, count=count, per_level=per_level),
        detection=replace(config.detection, count=kept),
    )


def check_size(size: Size, owner: str = "a panoptic model") -> None:
    """Refuses sizes at which the levels of the FPN do not align.

    Args:
        size: height and width of the network image.
        owner: needs this size, for the error message.

    Raises:
        UserError: a side is not a multiple of 32.
    """
    if size[0] % PADDING_MULTIPLE or size[1] % PADDING_MULTIPLE:
        suggestion = "x".join(str(-(-side // PADDING_MULTIPLE) * PADDING_MULTIPLE) for side in size)
        raise UserError(
            f"--size {size[0]}x{size[1]}: {owner} needs multiples of "
            f"{PADDING_MULTIPLE}, such as {suggestion}"
        )


def check_whole(config: PanopticConfig) -> None:
    """Refuses configurations that only a file in parts supports.

    Raises:
        UserError: a score threshold below 0.5.
    """
    if config.detection.score_threshold < 0.5:
        # From 0.5 on, at most one class of a box passes, so its best class is sufficient.
        raise UserError(
            f"a score threshold of {config.detection.score_threshold} allows several classes per "
            "box, which one graph does not support; use --parts"
        )
