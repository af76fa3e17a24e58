"""Heuristic fusion: instances and semantic labels become one map with one segment a pixel.

Integer work on NumPy arrays at display resolution; the Android app mirrors it step by step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lvt.panoptic.config import INSTANCE_OFFSET, FusionConfig

OVERLAP_EPSILON = 1e-5
"""Added to a mask's pixels, so that a share equal to the limit passes in any float precision."""


@dataclass(frozen=True)
class Segment:
    """One thing or one stuff class of a panoptic map.

    Attributes:
        id: its value in the map: a stuff label, or label + 1000*k for the k-th instance.
        label: its class.
        area: its pixels in the map.
        detection: index of the instance among the detections; None for stuff.
    """

    id: int
    label: int
    area: int
    detection: int | None = None


@dataclass(frozen=True)
class PanopticMap:
    """One segment a pixel.

    Attributes:
        ids: int32 (H, W): stuff labels, label + 1000*k for instances, or `void`.
        segments: kept instances, best first, then stuff by label. Void is none of them.
        void: the id of pixels that belong to no segment.
    """

    ids: NDArray[np.int32]
    segments: tuple[Segment, ...]
    void: int


def fuse(
    masks: NDArray[np.bool_],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    semantic: NDArray[np.integer],
    *,
    things: int,
    stuff: int,
    config: FusionConfig,
) -> PanopticMap:
    """Lays instances over the semantic labels.

    1. Start with label = semantic channel + things. The last channel, "some thing", becomes void.
    2. Take the instances in falling score. One without pixels, or with more than
       `config.max_overlap` of its pixels taken by better ones, is dropped. The k-th that is kept
       writes label + 1000*k on its free pixels, over any stuff.
    3. Stuff that has fewer than `config.min_stuff_area` pixels left becomes void.

    Args:
        masks: (K, H, W), the pixels of each instance; they may overlap.
        scores: (K,), in any order; equal scores keep it.
        labels: (K,), 0 ... things-1.
        semantic: (H, W), channel of the semantic head: stuff classes, then "some thing".
        things: number of thing classes.
        stuff: number of stuff classes.
        config: thresholds.
    """
    void = things + stuff
    ids = semantic.astype(np.int32) + things
    free = np.ones(ids.shape, dtype=np.bool_)
    segments: list[Segment] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        visible = masks[index] & free
        own, area = int(masks[index].sum()), int(visible.sum())
        if own == 0 or (own - area) / (own + OVERLAP_EPSILON) > config.max_overlap:
            continue
        label = int(labels[index])
        segment_id = label + INSTANCE_OFFSET * (len(segments) + 1)
        ids[visible] = segment_id
        free &= ~visible
        segments.append(Segment(segment_id, label, area, detection=index))
    for label in range(things, void):
        remaining = ids == label
        area = int(remaining.sum())
        if 0 < area < config.min_stuff_area:
            ids[remaining] = void
        elif area:
            segments.append(Segment(label, label, area))
    return PanopticMap(ids, tuple(segments), void)
