"""Idle threads of PyTorch sleep soon, unless the user decides otherwise."""

import os
import subprocess
import sys

import pytest

from lvt.support.threads import limit_spinning


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy, so that nothing stays behind."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


def test_the_limit_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    limit_spinning()
    assert int(os.environ["GOMP_SPINCOUNT"]) > 0


@pytest.mark.parametrize(
    ("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "active")]
)
def test_the_users_variables_have_precedence(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv(name, value)
    limit_spinning()
    assert os.environ[name] == value
    assert ("GOMP_SPINCOUNT" in os.environ) == (name == "GOMP_SPINCOUNT")


@pytest.mark.parametrize(
    "command", ["export.cli.export", "quantization.cli.quantize", "export.cli.verify"]
)
def test_commands_do_not_import_torch_before_the_limit(command: str) -> None:
    """The library reads the variable when it is loaded."""
    code = f"import sys, {command}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
