"""Tests `draw_prediction.py` on a prediction of the golden vectors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def test_draws_a_prediction(tmp_path: Path) -> None:
    (case,) = json.loads((GOLDEN / "demo.json").read_text())
    segments = [
        {**segment, "score": None if segment["detection"] is None else 0.5}
        for segment in case["segments"]
    ]
    picture, ids = GOLDEN / case["picture"], GOLDEN / case["ids"]
    predictions, out = tmp_path / "predictions.jsonl", tmp_path / "out.png"
    prediction = {"image": str(picture), "map": str(ids), "segments": segments}
    predictions.write_text(json.dumps(prediction) + "\n")
    script = [sys.executable, str(ROOT / "android_demo" / "draw_prediction.py")]
    subprocess.run([*script, str(GOLDEN / "stub.onnx"), str(predictions), str(out)], check=True)
    drawn = np.asarray(Image.open(out).convert("RGB"), int)
    shown = np.asarray(Image.open(picture).convert("RGB"), int)
    height, width = shown.shape[:2]
    assert drawn.shape[1] > width, "the legend"
    changed = np.abs(drawn[:height, :width] - shown).sum(axis=2) > 0
    segment = np.asarray(Image.open(ids), int) @ [1, 256, 65536] == segments[0]["id"]
    assert changed[segment].mean() > 0.95
