"""Configuration of the panoptic model: widths, anchors, thresholds.

The defaults are those of the official COCO model. Does not import torch, so that commands can read
it quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lvt.errors import UserError
from lvt.support.validation import number, whole_number

INSTANCE_OFFSET = 1000
"""Instance number k of a thing has the id `label + INSTANCE_OFFSET * k` in a panoptic map."""

PADDING_MULTIPLE = 32
"""The network's input is padded to a multiple of this: the coarsest stride of the backbone."""


@dataclass(frozen=True)
class AnchorConfig:
    """Anchors: one for each ratio at each position, on every level of the pyramid.

    Attributes:
        scale: side of the square anchor, in strides.
        ratios: height divided by width, in the order of the RPN's channels.
        strides: strides of the levels P2 to P6, in network pixels.
    """

    scale: float = 8.0
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    strides: tuple[int, ...] = (4, 8, 16, 32, 64)


@dataclass(frozen=True)
class ProposalConfig:
    """Selection of proposals from the RPN's maps.

    Attributes:
        per_level: number of anchors of each level, the best ones, that are decoded.
        count: number of proposals of an image that are kept.
        iou_threshold: a box is dropped if its IoU with a better box of its level is higher.
    """

    per_level: int = 1000
    count: int = 1000
    iou_threshold: float = 0.7


@dataclass(frozen=True)
class RoIConfig:
    """The box head and the mask head.

    Attributes:
        box_size: side of the box head's RoIAlign grid.
        box_channels: width of the box head's two hidden layers.
        mask_size: side of the mask head's RoIAlign grid; masks are twice as large.
        mask_convs: number of 3x3 convolutions of the mask head.
        finest_scale: boxes whose sqrt(area), in network pixels, is below twice this use P2.
    """

    box_size: int = 7
    box_channels: int = 160
    mask_size: int = 14
    mask_convs: int = 4
    finest_scale: float = 56.0


@dataclass(frozen=True)
class DetectionConfig:
    """Selection of detections (`test_cfg.panoptic` of the official configuration).

    Attributes:
        score_threshold: the score of a (box, class) pair must be higher.
        iou_threshold: a box is dropped if its IoU with a better box, of any class, is higher.
        count: number of detections of an image that are kept.
    """

    score_threshold: float = 0.6
    iou_threshold: float = 0.5
    count: int = 100


@dataclass(frozen=True)
class FusionConfig:
    """Fusion of detections and semantic labels into a panoptic map.

    Attributes:
        mask_threshold: a pixel belongs to an instance from this probability on.
        max_overlap: an instance is dropped if better instances cover more than this share of it.
        min_stuff_area: smaller stuff segments become void, in pixels of the original image.
    """

    mask_threshold: float = 0.5
    max_overlap: float = 0.5
    min_stuff_area: int = 4096


@dataclass(frozen=True)
class PanopticConfig:
    """Panoptic FPN on LVT.

    Labels: things from 0 to things-1, then stuff, then one label for void.

    Attributes:
        things: number of thing classes (countable).
        stuff: number of stuff classes (uncountable).
        channels: width of the feature pyramid, RPN and mask head.
        semantic_channels: width of the semantic head.
        semantic_groups: groups of the semantic head's GroupNorm.
        anchors: anchors of the RPN.
        proposals: selection of proposals.
        roi: box head and mask head.
        detection: selection of detections.
        fusion: fusion into a panoptic map.

    Raises:
        UserError: a number is out of range, or the numbers do not fit together.
    """

    things: int = 80
    stuff: int = 53
    channels: int = 96
    semantic_channels: int = 48
    semantic_groups: int = 12
    anchors: AnchorConfig = AnchorConfig()
    proposals: ProposalConfig = ProposalConfig()
    roi: RoIConfig = RoIConfig()
    detection: DetectionConfig = DetectionConfig()
    fusion: FusionConfig = FusionConfig()

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.things < 1 or self.stuff < 0:
            raise UserError(
                f"{self.things} thing and {self.stuff} stuff classes: at least one thing is needed"
            )
        if self.void >= INSTANCE_OFFSET:
            raise UserError(
                f"{self.things} + {self.stuff} classes are too many: labels must be below "
                f"{INSTANCE_OFFSET}, where the ids of instances begin"
            )
        if self.semantic_channels % self.semantic_groups:
            raise UserError(
                f"semantic_channels {self.semantic_channels} cannot be split into "
                f"{self.semantic_groups} groups; choose a multiple"
            )
        if len(self.anchors.strides) != 5:
            raise UserError(
                f"the pyramid has five levels, but {len(self.anchors.strides)} strides are given"
            )

    def _check_numbers(self) -> None:
        """Checks wide ranges, to refuse the numbers of damaged files."""
        anchors, proposals, roi, detection = (
            self.anchors,
            self.proposals,
            self.roi,
            self.detection,
        )
        for value, what, least, most in (
            (self.things, "things", 0, 1 << 16),
            (self.stuff, "stuff", -1, 1 << 16),
            (self.channels, "channels", 1, 1 << 13),
            (self.semantic_channels, "semantic_channels", 1, 1 << 13),
            (self.semantic_groups, "semantic_groups", 1, 1 << 13),
            *((stride, "stride", 1, 1 << 10) for stride in anchors.strides),
            (len(anchors.ratios), "number of ratios", 1, 1 << 5),
            (proposals.per_level, "per_level", 1, 1 << 16),
            (proposals.count, "count of proposals", 1, 1 << 16),
            (roi.box_size, "box_size", 1, 1 << 7),
            (roi.box_channels, "box_channels", 1, 1 << 13),
            (roi.mask_size, "mask_size", 1, 1 << 7),
            (roi.mask_convs, "mask_convs", 0, 1 << 5),
            (detection.count, "count of detections", 1, 1 << 16),
            (self.fusion.min_stuff_area, "min_stuff_area", 0, 1 << 31),
        ):
            whole_number(value, what, least, most)
        for real, what, lowest, highest in (
            (anchors.scale, "scale", 1e-3, 1e3),
            *((ratio, "ratio", 1e-3, 1e3) for ratio in anchors.ratios),
            (proposals.iou_threshold, "iou_threshold", 0.0, 1.0),
            (roi.finest_scale, "finest_scale", 1e-3, 1e6),
            (detection.score_threshold, "score_threshold", 0.0, 1.0),
            (detection.iou_threshold, "iou_threshold", 0.0, 1.0),
            (self.fusion.mask_threshold, "mask_threshold", 0.0, 1.0),
            (self.fusion.max_overlap, "max_overlap", 0.0, 1.0),
        ):
            number(real, what, lowest, highest)

    @property
    def void(self) -> int:
        """The label of pixels that belong to no segment."""
        return self.things + self.stuff

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as checkpoints and manifests contain it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PanopticConfig:
        """Inverse of `to_dict`, also after a round trip through JSON.

        Raises:
            UserError: the data does not describe a panoptic model.
        """
        if not isinstance(data, Mapping):
            raise UserError(f"not a panoptic configuration: a {type(data).__name__}")
        wrong = {field.name for field in fields(cls)} ^ set(data)
        if wrong:
            raise UserError(
                f"not a panoptic configuration: missing or unknown {', '.join(sorted(wrong))}"
            )
        try:
            rest = dict(data)
            anchors = dict(rest.pop("anchors"))
            ratios, strides = tuple(anchors.pop("ratios")), tuple(anchors.pop("strides"))
            return cls(
                anchors=AnchorConfig(ratios=ratios, strides=strides, **anchors),
                proposals=ProposalConfig(**rest.pop("proposals")),
                roi=RoIConfig(**rest.pop("roi")),
                detection=DetectionConfig(**rest.pop("detection")),
                fusion=FusionConfig(**rest.pop("fusion")),
                **rest,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"not a panoptic configuration: {error}") from error
