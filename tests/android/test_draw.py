"""The script that draws the core's answer, on an answer of the golden vectors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def test_an_answer_is_drawn(tmp_path: Path) -> None:
    (case,) = json.loads((GOLDEN / "demo.json").read_text())
    segments = [
        {**segment, "score": None if segment["detection"] is None else 0.5}
        for segment in case["segments"]
    ]
    picture, ids = GOLDEN / case["picture"], GOLDEN / case["ids"]
    answers, out = tmp_path / "answers.jsonl", tmp_path / "out.png"
    answer = {"image": str(picture), "map": str(ids), "segments": segments}
    answers.write_text(json.dumps(answer) + "\n")
    script = [sys.executable, str(ROOT / "android_demo" / "draw.py")]
    subprocess.run([*script, str(GOLDEN / "stub.onnx"), str(answers), str(out)], check=True)
    drawn = np.asarray(Image.open(out).convert("RGB"), int)
    shown = np.asarray(Image.open(picture).convert("RGB"), int)
    height, width = shown.shape[:2]
    assert drawn.shape[1] > width, "the legend"
    changed = np.abs(drawn[:height, :width] - shown).sum(axis=2) > 0
    segment = np.asarray(Image.open(ids), int) @ [1, 256, 65536] == segments[0]["id"]
    assert changed[segment].mean() > 0.95
