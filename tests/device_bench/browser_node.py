"""The page's JavaScript modules without a browser, in Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from device_bench.devices.browser.runtime import ASSETS


def in_node(module: str, script: str, *data: Any) -> Any:
    """What a script makes of `data`, as JSON.

    Args:
        module: file in the page's assets; the script has it as `page`.
        script: assigns the constant `output`.
        data: JSON values; the script has them as the array `data`.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    source = (
        f"import * as page from {json.dumps((ASSETS / module).as_uri())};\n"
        f"const data = {json.dumps(data)};\n{script}\n"
        "process.stdout.write(JSON.stringify(output));"
    )
    command = [node, "--input-type=module", "-"]
    done = subprocess.run(
        command, input=source, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
