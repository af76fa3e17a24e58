"""Entry points of a model in parts, and the constants of the host steps, as manifests hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from export.entry_point import TensorInfo
from export.model_io import image_input
from lvt.config import Size
from lvt.panoptic.anchors import base_anchors
from lvt.panoptic.boxes import MAX_LOG_SCALE, ROI_CODER, RPN_CODER
from lvt.panoptic.config import PanopticConfig
from lvt.panoptic.roi_heads import ROI_LEVELS
from lvt.support.validation import number, whole_number

PARTS = ("core", "boxes", "masks")
"""Names of the entry points, in the order in which they run."""

LARGEST_BOX_BATCH = 128
"""Most boxes in one call of `boxes`. Larger batches are not faster on CPUs."""

LARGEST_MASK_BATCH = 4
"""Most detections in one call of `masks`. COCO pictures have 7 instances on average, and a mask
takes as long as a hundred boxes, so empty places in a batch cost more than further calls."""

_FIRST_LEVEL = 2
"""The finest level is P2."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2."""


@dataclass(frozen=True)
class PyramidLevel:
    """One level of the feature pyramid.

    Attributes:
        name: `p2` to `p6`.
        stride: network pixels per cell.
        cells: height and width of the level's maps.
        anchors: anchors around the origin, in network pixels, in the order of the RPN's channels.
    """

    name: str
    stride: int
    cells: Size
    anchors: tuple[Box, ...]


@dataclass(frozen=True)
class HostConstants:
    """Every number that the host steps use. Manifests contain it.

    Attributes:
        image: height and width of the network image; boxes are clipped to it.
        levels: P2 to P6.
        feature_levels: number of levels, from the finest, that features of boxes are read from.
        finest_scale: boxes whose sqrt(area), in network pixels, is below twice this use P2.
        channels: of the pyramid.
        things: number of thing classes.
        rpn_stds: factors of the RPN's deltas.
        roi_stds: factors of the deltas of `boxes`.
        max_log_scale: limit of a decoded log scale.
        per_level: number of anchors of a level, the best ones, that are decoded.
        proposals: number of proposals that are kept.
        proposal_iou: a proposal is dropped if its IoU with a better one of its level is higher.
        box_size: side of the grid of a box's features for `boxes`.
        box_batch: number of boxes in one call of `boxes`.
        score_threshold: the score of a detection is higher.
        detection_iou: a detection is dropped if its IoU with a better one is higher.
        detections: number of detections that are kept.
        mask_size: side of the grid of a detection's features for `masks`.
        mask_batch: number of detections in one call of `masks`.
    """

    image: Size
    levels: tuple[PyramidLevel, ...]
    feature_levels: int
    finest_scale: float
    channels: int
    things: int
    rpn_stds: Box
    roi_stds: Box
    max_log_scale: float
    per_level: int
    proposals: int
    proposal_iou: float
    box_size: int
    box_batch: int
    score_threshold: float
    detection_iou: float
    detections: int
    mask_size: int
    mask_batch: int

    @classmethod
    def for_model(cls, config: PanopticConfig, image: Size) -> Self:
        """The constants of a model for one input size.

        Args:
            config: from `with_limits`.
            image: height and width of the network image.
        """
        anchors, roi, detection = config.anchors, config.roi, config.detection
        levels = tuple(
            PyramidLevel(
                f"p{number}",
                stride,
                (-(-image[0] // stride), -(-image[1] // stride)),
                tuple(_box(row) for row in base_anchors(stride, anchors).tolist()),
            )
            for number, stride in enumerate(anchors.strides, start=_FIRST_LEVEL)
        )
        return cls(
            image=image,
            levels=levels,
            feature_levels=ROI_LEVELS,
            finest_scale=roi.finest_scale,
            channels=config.channels,
            things=config.things,
            rpn_stds=RPN_CODER.stds,
            roi_stds=ROI_CODER.stds,
            max_log_scale=MAX_LOG_SCALE,
            per_level=config.proposals.per_level,
            proposals=config.proposals.count,
            proposal_iou=config.proposals.iou_threshold,
            box_size=roi.box_size,
            box_batch=_batch(config.proposals.count, LARGEST_BOX_BATCH),
            score_threshold=detection.score_threshold,
            detection_iou=detection.iou_threshold,
            detections=detection.count,
            mask_size=roi.mask_size,
            mask_batch=_batch(detection.count, LARGEST_MASK_BATCH),
        )

    def calls(self, part: str) -> int:
        """Number of calls of an entry point for an image with every proposal and detection."""
        if part == "core":
            return 1
        count, batch = (
            (self.proposals, self.box_batch)
            if part == "boxes"
            else (self.detections, self.mask_batch)
        )
        return -(-count // batch)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as manifests contain it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`, also after a round trip through JSON.

        Raises:
            UserError, KeyError, TypeError, ValueError: the data is damaged.
        """
        values = dict(data)
        levels = tuple(
            PyramidLevel(
                str(level["name"]),
                whole_number(level["stride"], "a stride", 1, 1 << 10),
                _size(level["cells"]),
                tuple(_box(anchor) for anchor in level["anchors"]),
            )
            for level in values.pop("levels")
        )
        numbers: dict[str, Any] = {
            name: whole_number(values.pop(name), name, 1, 1 << 16)
            for name in (
                "feature_levels",
                "channels",
                "things",
                "per_level",
                "proposals",
                "box_size",
                "box_batch",
                "detections",
                "mask_size",
                "mask_batch",
            )
        }
        numbers |= {
            name: number(values.pop(name), name, 0.0, 1e6)
            for name in (
                "finest_scale",
                "max_log_scale",
                "proposal_iou",
                "score_threshold",
                "detection_iou",
            )
        }
        if numbers["feature_levels"] > len(levels):
            raise ValueError(f"{numbers['feature_levels']} feature levels of {len(levels)}")
        return cls(
            image=_size(values.pop("image")),
            levels=levels,
            rpn_stds=_box(values.pop("rpn_stds")),
            roi_stds=_box(values.pop("roi_stds")),
            **numbers,
            **values,
        )


def part_inputs(host: HostConstants, part: str) -> tuple[TensorInfo, ...]:
    """The inputs of an entry point; images are NCHW."""
    count, side, channels = host.mask_batch, host.mask_size, host.channels
    return {
        "core": (image_input(host.image),),
        "boxes": (
            TensorInfo(
                "features",
                (host.box_batch, host.box_size**2 * channels),
                "NK",
                "rows, columns and channels of each box",
            ),
        ),
        "masks": (
            TensorInfo("features", (count, side, side, channels), "NHWC", "of each detection"),
            TensorInfo(
                "classes", (count, host.things), "NC", "1 for each detection's class, else 0"
            ),
        ),
    }[part]


def _batch(count: int, largest: int) -> int:
    """The batch size that splits `count` into the fewest, equally large batches."""
    batches = -(-count // largest)
    return -(-count // batches)


def _box(values: Any) -> Box:
    left, top, right, bottom = (float(value) for value in values)
    return left, top, right, bottom


def _size(values: Any) -> Size:
    height, width = (whole_number(side, "a size", 1, 1 << 24) for side in values)
    return height, width
