"""The files around the code agree with it: lock files, workflow, hooks, citation, version."""

from __future__ import annotations

import os
import re
import tomllib
from functools import cache
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.docs.locks import entries, lock_file
from tests.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MINORS = (11, 12, 13, 14)


def direct_requirements(lock: str) -> list[str]:
    """Return what pyproject.toml asks for and a lock file has to have."""
    project = PROJECT["project"]
    lines = list(project["dependencies"])
    if lock == "dev":
        lists = (*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values())
        lines += [line for entries in lists for line in entries if isinstance(line, str)]
    return [line for line in lines if not line.startswith("lvt-mobile")]


def applies(requirement: Requirement, minor: int) -> bool:
    environment = {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.1",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    return requirement.marker is None or requirement.marker.evaluate(environment)


@cache
def locked(lock: str, minor: int) -> dict[str, str]:
    """Return the versions that a lock file has for a Python on Linux, by package."""
    used = [entry for entry in entries(lock) if applies(entry, minor)]
    versions = {entry.name: str(entry.specifier).removeprefix("==") for entry in used}
    assert len(versions) == len(used), "a package has two versions"
    return versions


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("lock", ["base", "dev"])
def test_the_lock_covers_the_requirements(lock: str, minor: int) -> None:
    """A requirement that was added or raised without `make lock` would not be installed."""
    versions = locked(lock, minor)
    for requirement in map(Requirement, direct_requirements(lock)):
        if applies(requirement, minor):
            assert requirement.name in versions, requirement
            version = versions[requirement.name]
            assert requirement.specifier.contains(version, prereleases=True), (requirement, version)


@pytest.mark.parametrize("minor", MINORS)
def test_the_locks_agree(minor: int) -> None:
    """`make test` after `make demo` must not exchange the base packages."""
    assert locked("base", minor).items() <= locked("dev", minor).items()


@pytest.mark.parametrize("lock", ["base", "dev"])
def test_a_lock_has_hashes_and_no_host(lock: str) -> None:
    text = lock_file(lock).read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^[a-z][^\n]*[^\\]$", text, re.MULTILINE), "an entry without a hash"


def test_the_named_pythons_are_the_supported_ones() -> None:
    supported = SpecifierSet(PROJECT["project"]["requires-python"])
    classifiers = PROJECT["project"]["classifiers"]
    for minor in range(9, 17):
        named = f"Programming Language :: Python :: 3.{minor}" in classifiers
        assert (f"3.{minor}" in supported) == named == (minor in MINORS)
    assert "(3, 11) <= sys.version_info < (3, 15)" in (ROOT / "Makefile").read_text("utf-8")


def _steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflow_calls_scripts_that_exist() -> None:
    """Commands in the workflow itself would be checked nowhere else."""
    called = [step["run"] for step in _steps() if "run" in step]
    assert sorted(called) == [".ci/base", ".ci/core-ml", ".ci/run"]
    for script in called:
        assert os.access(ROOT / script, os.X_OK), script


def test_the_hooks_are_the_tools_of_make_lint() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [entry["repo"] for entry in hooks] == ["local"], "a hook would be downloaded"
    entries = [hook["entry"].replace(".venv/bin/", "$(BIN)/") for hook in hooks[0]["hooks"]]
    lint = (ROOT / "Makefile").read_text("utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    assert [line.strip().removesuffix(" .") for line in lint.splitlines()[1:]] == entries


def test_the_citation_has_the_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    (paper,) = citation["references"]
    assert paper["url"] == PROJECT["project"]["urls"]["Paper"]
    assert len(paper["authors"]) == 7
