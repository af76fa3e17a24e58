"""Colours, outlines and legends of overlays."""

from __future__ import annotations

import numpy as np

from lvt.data.labels import Labels
from lvt.panoptic.fusion import PanopticMap, Segment
from lvt.visualisation import panoptic_overlay, semantic_overlay


def test_overlay_shows_classes_in_their_colours_with_a_legend() -> None:
    image = np.full((60, 80, 3), 128, np.uint8)
    classes = np.zeros((60, 80), np.int64)
    classes[:, 40:] = 1
    labels = Labels(("left", "right", "absent"), ((255, 0, 0), (0, 0, 255), (0, 255, 0)))
    overlay = np.asarray(semantic_overlay(image, classes, labels))
    assert overlay.shape[0] == 60
    assert overlay.shape[1] > 80  # the legend
    assert overlay[30, 20, 0] > overlay[30, 20, 2] + 100
    assert overlay[30, 60, 2] > overlay[30, 60, 0] + 100
    assert overlay[30, 40].max() < 100  # the border is dark
    legend = overlay[:, 80:].reshape(-1, 3)
    assert (legend == (255, 0, 0)).all(1).any()
    assert not (legend == (0, 255, 0)).all(1).any()


def test_panoptic_overlay_shows_instances_stuff_and_leaves_void_alone() -> None:
    image = np.full((80, 100, 3), 120, np.uint8)
    ids = np.full((80, 100), 3, np.int32)  # void: 2 things + 1 stuff
    ids[40:] = 2
    ids[50:70, 20:50] = 1001
    segments = (Segment(1001, 1, 600, 0), Segment(2, 2, 3400))
    labels = Labels(("person", "car", "road"), ((255, 0, 0), (0, 0, 255), (0, 255, 0)))
    overlay = panoptic_overlay(image, PanopticMap(ids, segments, 3), np.array([0.9]), labels)
    pixels = np.asarray(overlay).astype(int)
    assert pixels.shape[1] > 100
    assert (pixels[5, 90] == 120).all()  # void
    assert pixels[75, 90, 1] > pixels[75, 90, 0] + 40  # road is green
    assert pixels[65, 35, 2] > pixels[65, 35, 0] + 60  # the car is blue
    assert (pixels[50, 25] == 255).all()  # its outline is white
    legend = pixels[:, 100:].reshape(-1, 3)
    assert (legend == (0, 255, 0)).all(1).any()
    assert not (legend == (255, 0, 0)).all(1).any()  # no person
