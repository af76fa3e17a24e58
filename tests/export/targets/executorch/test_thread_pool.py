"""The thread pool that all ExecuTorch sessions of a process share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY

pytest.importorskip("executorch")

from export.rewrite import rewrite
from export.targets.executorch.target import write
from lvt.models import ModelSpec, build_random
from tests.helpers.models import conversion

_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from export.targets.executorch.target import open_session
image = np.zeros((1, 3, 64, 96), np.float32)
path = Path(sys.argv[1])
for _ in range(10):
    sessions = [open_session(path, threads=threads) for threads in (1, 2, 0)]
    for session in reversed(sessions):
        session.run(image)
print("done")
"""


@pytest.mark.slow
def test_sessions_with_other_numbers_of_threads_run(tmp_path: Path) -> None:
    """A pool that is replaced under a loaded method lets its next run wait forever."""
    spec = ModelSpec("backbone", TINY)
    path = tmp_path / "model.pte"
    model = rewrite(build_random(spec), "xnnpack")
    write(conversion(model, spec, (64, 96), "fp32", {}), path)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, path],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.endswith("done\n"), done.stderr
