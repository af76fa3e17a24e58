"""Suites are read, run and stored: real commands on the tiny model, in a checkout of their own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.cli.bench import app
from device_bench.suites.kept import keep
from device_bench.suites.machine import Machine, describe
from device_bench.suites.quiet import LONGEST_WAIT, timed_threads, wait_until_quiet
from device_bench.suites.record import Record, read_record
from device_bench.suites.run import git_state, repeat_steps, run_step, run_suite
from device_bench.suites.source_hash import code_of, source_sha256
from device_bench.suites.suite import Needs, Step, read_suite
from lvt.errors import UserError
from tests.export.test_cli import one_line_error, run

MACHINE = Machine("test-2c", "Test", 2, ("AVX2",))

SUITE = """
title = "Tiny"
weights = "random"
minutes = 1
code = ["code.py"]

[[step]]
name = "export"
title = "tiny, ONNX"
command = "lvt-export onnx --ckpt CHECKPOINT --out {out} --json"

[[step]]
name = "bench"
command = "lvt-bench {out}/tiny_semantic_64x96.onnx --runs 4 --min-seconds 0 --json {json}"

[[step]]
name = "broken"
command = "lvt-eval no-such-file.onnx --demo-scenes 1 --json"

[[step]]
name = "absent"
command = "lvt-eval demo --json"
needs = { files = ["{real}/no-such-folder"] }

[[step]]
name = "plain"
command = "python -c pass"
"""


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "code.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text("/out/\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Add code")
    return folder


@pytest.fixture(scope="module")
def record(
    checkout: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Record:
    file = tmp_path_factory.mktemp("suites") / "tiny.toml"
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("device_bench.suites.run.wait_until_quiet", lambda threads: 0.0)
    file.write_text(SUITE.replace("CHECKPOINT", str(tiny_checkpoint)))
    seen = []
    result = run_suite(
        read_suite(file),
        MACHINE,
        lambda step, done: seen.append((step.name, done is not None)),
        root=checkout,
    )
    monkeypatch.undo()
    assert seen == [(step.name, done) for step in result.steps for done in (False, True)]
    return result


def test_each_step_keeps_its_figures(record: Record) -> None:
    export, bench, *_ = record.steps
    assert (export.status, export.reason) == ("measured", None)
    assert export.result["parity"]["outputs"][0]["sqnr_db"] > 90
    assert "preprocessing" not in export.result
    assert export.seconds is not None
    assert export.seconds > 0
    assert export.peak_memory_bytes is not None
    assert export.peak_memory_bytes > 100e6  # the command's own, which loads PyTorch
    (entry,) = bench.result["results"]
    assert entry["latency_ms"]["runs"] == 4
    assert "samples_ms" not in entry
    assert record.artifacts == {"tiny_semantic_64x96.onnx": entry["sha256"]}


def test_a_failed_and_a_left_out_step_say_why_and_do_not_stop_the_suite(record: Record) -> None:
    """A step that disappears silently would leave a hole that nobody sees."""
    _, _, broken, absent, plain = record.steps
    assert broken.status == "failed"
    assert broken.reason is not None
    assert "exit code 2: error:" in broken.reason
    assert (absent.status, absent.seconds) == ("left out", None)
    assert absent.reason is not None
    assert "no-such-folder" in absent.reason
    assert (plain.status, plain.result) == ("measured", None)


def test_commands_can_be_repeated_by_a_reader(record: Record, checkout: Path) -> None:
    export = record.steps[0]
    assert "{" not in export.command
    assert export.command.endswith("--out out/suites/tiny --json")
    assert (checkout / "out/suites/tiny/tiny_semantic_64x96.onnx").is_file()


def test_a_record_survives_its_file(record: Record, tmp_path: Path) -> None:
    file = record.save(tmp_path)
    assert file == tmp_path / "test-2c" / "tiny.json"
    assert read_record(file) == record


def test_a_command_without_json_has_no_result(tmp_path: Path) -> None:
    """The set-up of a software GPU prints nothing; that is no failure."""
    step = Step("setup", "Set-up", ("lvt-export", "--version"), None, (), Needs())
    done = run_step(step, tmp_path, tmp_path)
    assert (done.status, done.reason, done.result) == ("measured", None, None)


def test_a_disturbed_step_is_repeated_alone(checkout: Path, record: Record, tmp_path: Path) -> None:
    """One busy minute should not cost the half hour of a whole suite."""
    file = tmp_path / "tiny.toml"
    command = record.steps[0].command.split("--ckpt ")[1].split()[0]
    file.write_text(SUITE.replace("CHECKPOINT", command))
    suite, seen = read_suite(file), []
    again = repeat_steps(
        suite, record, ["plain"], lambda step, _: seen.append(step.name), root=checkout
    )
    assert seen == ["plain", "plain"]
    assert again.steps[:-1] == record.steps[:-1]
    assert again.artifacts == record.artifacts
    assert again.steps[-1].status == "measured"
    with pytest.raises(UserError, match="has no step dance: choose export, bench"):
        repeat_steps(suite, record, ["dance"], lambda *_: None, root=checkout)
    older = replace(record, code_sha256="0")
    with pytest.raises(UserError, match="has changed since the record"):
        repeat_steps(suite, older, ["plain"], lambda *_: None, root=checkout)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"schema": 99}, "schema 1"),
        ({"steps": [{}]}, "damaged"),
        ({"machine": {"name": "x"}}, "damaged"),
        ({"suite": "other"}, "may not be moved"),
    ],
)
def test_damaged_records_are_refused(
    change: dict[str, object], phrase: str, record: Record, tmp_path: Path
) -> None:
    file = record.save(tmp_path)
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError, match=phrase):
        read_record(file)


def test_the_commit_is_recorded_and_whether_files_differ(checkout: Path, record: Record) -> None:
    commit, dirty = git_state(checkout)
    assert (record.commit, record.dirty) == (commit, dirty) == (commit, False)
    stored = checkout / "benchmarks" / "results" / "a.json"
    stored.parent.mkdir(parents=True)
    stored.write_text("{}")
    assert git_state(checkout) == (commit, False)  # the record of the suite before this one
    (checkout / "new.py").write_text("")
    assert git_state(checkout) == (commit, True)
    (checkout / "new.py").unlink()


def test_outside_of_git_there_is_no_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path) == (None, False)


CODE = '''"""Docstring."""

X = 1  # comment
"""What X is."""


def f(y: str = "# no comment") -> str:
    """Docstring

    of several lines."""
    return f"{y!r} # neither"
'''


def test_the_hash_sees_code_only(tmp_path: Path) -> None:
    """Records of half an hour's work should not be called stale for a docstring."""
    file = tmp_path / "a" / "m.py"
    file.parent.mkdir()

    def digest(text: str) -> str:
        file.write_text(text)
        return source_sha256(tmp_path, ["a"])

    before = digest(CODE)
    same = CODE.replace("Docstring", "Other").replace("# comment", "").replace("\n\n\n", "\n\n")
    assert digest(same) == before
    assert '"# no comment"' in code_of(CODE)
    assert "neither" in code_of(CODE)
    assert digest(CODE.replace("# neither", "# either")) != before
    assert digest(CODE.replace("X = 1", "X = 2")) != before
    digest(CODE)
    file.rename(file.with_name("n.py"))
    assert source_sha256(tmp_path, ["a"]) != before


@pytest.mark.parametrize(
    ("loads", "threads", "waited"),
    [([0.1], 1, 0), ([9.0, 9.0, 0.1], 1, 10), ([9.0] * 99, 1, LONGEST_WAIT)],
)
def test_benchmarks_wait_for_the_load_of_the_step_before(
    loads: list[float], threads: int, waited: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their results would be marked as not valid on the quietest machine."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    left = iter(loads)
    slept: list[float] = []
    found = wait_until_quiet(threads, load=lambda: next(left), sleep=slept.append)
    assert found == sum(slept) == waited


def test_only_benchmarks_wait() -> None:
    assert timed_threads(["lvt-bench", "a.onnx", "--threads", "2"]) == 2
    assert timed_threads(["lvt-bench", "rewrites"]) == 1
    assert timed_threads(["lvt-export", "onnx"]) is None


def test_kept_paths() -> None:
    content = {"a": {"b": 1, "c": 2}, "l": [{"x": 1, "y": 2}, {"y": 3}], "n": None}
    kept = keep(content, ["a.b", "l.*.y", "n.deeper", "absent"])
    assert kept == {"a": {"b": 1}, "l": [{"y": 2}, {"y": 3}], "n": None}


def test_machines_are_named_by_what_decides_about_speed() -> None:
    cpuinfo = (
        "vendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel name\t: AMD EPYC\n"
        "flags\t: avx2 avx512f avx512_vnni\n\nvendor_id\t: AuthenticAMD\nmodel name\t: other\n"
    )
    machine = describe(cpuinfo, 2)
    assert machine.name == "amd-epyc-zen-5-2c-avx-512-vnni"
    assert str(machine) == "AMD EPYC (Zen 5), 2 cores, AVX-512, VNNI"
    assert describe(cpuinfo, 2, "mine").name == "mine"
    assert describe("Features : asimddp i8mm\n", 8).instructions == ("SMMLA", "SDOT")


VALID = (
    'title = "T"\nweights = "demo"\nminutes = 1\n[[step]]\nname = "a"\ncommand = "lvt-eval demo"\n'
)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (VALID + 'command = "x"', "not TOML"),
        (VALID + "spare = 1", "unknown key spare"),
        (VALID.replace("demo", "{nowhere}"), "{nowhere} is not one of"),
        (VALID.replace('"lvt-eval demo"', "'lvt-eval \"demo'"), "quotation"),
        (VALID.replace("minutes = 1\n", ""), "minutes is missing"),
        (VALID + '[[step]]\nname = "a"\ncommand = "b"', "same name"),
        (VALID.replace('"a"', '"a b"'), "may only contain"),
        (VALID + 'needs = { program = ["x"] }', "unknown key program"),
        (VALID + 'needs = { programs = "x" }', "not a list"),
        ('title = "T"', "no [[step]]"),
    ],
)
def test_mistakes_in_suites_are_named(text: str, phrase: str, tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_suite(file)
    assert phrase in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_suites_are_refused_with_the_known_ones(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, "suite", "nothing") == 2
    assert "no suite 'nothing': choose" in one_line_error(capfd)
    assert run(app, "suite") == 2
    assert "--list" in one_line_error(capfd)
    assert run(app, "suite", "demo", "--machine", "My PC") == 2
    assert "my-pc" in one_line_error(capfd)


def test_the_command_stores_the_record(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "command-test.toml"
    file.write_text(VALID.replace("lvt-eval demo", "python -c pass"))
    assert run(app, "suite", file, "--machine", "here", "--results", tmp_path) == 0
    assert "1/1 a: 0 s" in capfd.readouterr().err
    stored = read_record(tmp_path / "here" / "command-test.json")
    assert stored.steps[0].status == "measured"
    file.write_text(VALID.replace("lvt-eval demo", "python -c 1/0"))
    assert run(app, "suite", file, "--machine", "here", "--results", tmp_path) == 1
    assert "ZeroDivisionError" in str(
        read_record(tmp_path / "here" / "command-test.json").steps[0].reason
    )


def test_suites_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, "suite", "--list") == 0
    assert "camvid" in capfd.readouterr().out


def test_a_suite_without_its_code_is_refused(checkout: Path, tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(VALID)
    suite = replace(read_suite(file), code=("nowhere",))
    with pytest.raises(UserError, match="nowhere"):
        run_suite(suite, MACHINE, lambda step, done: None, root=checkout)
