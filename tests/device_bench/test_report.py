"""The page: whole, self-contained, and unharmed by what names and manifests hold."""

from __future__ import annotations

import html
import re
import shlex
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_bench.cli import bench as cli
from device_bench.report.charts import latency_over_time
from device_bench.report.html_page import render
from device_bench.report.markup import Markup, element, join
from device_bench.results.bench_report import parse_report
from lvt.errors import UserError
from tests.device_bench.result_files import (
    CLASSES,
    CONDITIONS,
    OVERLAY,
    PLACEMENT,
    PROFILE,
    jpeg,
    result,
    result_file,
    write,
)
from tests.docs.command_lines import check_ours
from tests.export.test_cli import one_line_error, run

EVIL = '</title><script>alert(\'"&amp;\')</script><img src=x onerror="x">'
ACCURACY = {
    "images": 500,
    "figures": {"top-1": 71.25, "top-5": 90.5},
    "measured_on": "this file",
}


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(*results: dict[str, Any], **changes: Any) -> str:
    return render(parse_report(result_file(*results, **changes), "test"))


def noisy(count: int = 300) -> list[float]:
    return list(np.random.default_rng(0).lognormal(3.0, 0.2, count))


def replace_texts(value: Any) -> Any:
    """Every text of a result file replaced by an attack, keys of free choice included.

    Pictures stay: what is none is refused, see below.
    """
    if isinstance(value, dict):
        free = bool({"packages", "top-1", "convolutions"} & value.keys())
        return {
            (EVIL if free else key): entry
            if key in ("original", "overlay")
            else replace_texts(entry)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [replace_texts(entry) for entry in value]
    return EVIL if isinstance(value, str) else value


def test_every_text_is_escaped() -> None:
    """A file name is all it takes to run a script in whoever opens the report."""
    everything = {"accuracy": ACCURACY, "conditions": CONDITIONS, "profile": PROFILE}
    everything |= {"placement": PLACEMENT}
    harmless = result(noisy(), reasons=["busy"], arena_bytes=1000, answer=OVERLAY, **everything)
    classifier = result(noisy(), "b.onnx", answer=CLASSES)
    expected = Page(page_of(harmless, classifier))
    content = replace_texts(result_file(harmless, classifier))
    content["environment"][EVIL] = {EVIL: EVIL}
    attacked = Page(render(parse_report(content, "test")))
    assert attacked.open == []
    assert attacked.tags == expected.tags
    assert attacked.attributes == expected.attributes
    assert not {"script", "a", "link", "iframe"} & attacked.tags
    assert not any(name.startswith("on") for name in attacked.attributes)
    # File name, label, reasons, figure's name, environment: all are there, as text.
    assert attacked.text.count("<script>alert('\"&amp;')</script>") >= 10


def test_markup_is_escaped_by_construction() -> None:
    inner = element("b", "1 < 2")
    assert inner == "<b>1 &lt; 2</b>"
    assert element("p", inner, "<i>", None, class_='"', data_label=None) == (
        '<p class="&quot;"><b>1 &lt; 2</b>&lt;i&gt;</p>'
    )
    assert isinstance(join("a", inner), Markup)
    # What is made of markup by formatting is plain text again, and escaped.
    assert "&lt;b&gt;" in element("p", f"{inner}")


def test_the_page_needs_nothing_but_itself() -> None:
    page = page_of(
        result(noisy(), accuracy=ACCURACY, answer=OVERLAY, profile=PROFILE, conditions=CONDITIONS),
        result(noisy(), "b.onnx"),
    )
    page, inline = re.subn(r' src="data:image/jpeg;base64,[A-Za-z0-9+/=]+"', "", page)
    assert inline == 2
    assert not re.search(r"https?:|//|url\(|@import|\bsrc=|\bhref=", page)
    assert not {"script", "link"} & Page(page).tags
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page


def test_charts_are_well_formed() -> None:
    """Browsers mend broken HTML silently, and leave a broken chart empty."""
    for count in (1, 2, 300, 5000):
        everything = {"accuracy": ACCURACY, "conditions": CONDITIONS, "profile": PROFILE}
        page = page_of(result(noisy(count), **everything))
        charts = re.findall(r"<svg .*?</svg>(?=<figcaption|<p)", page)
        assert len(charts) == 7
        for chart in charts:
            root = ET.fromstring(chart)
            assert root.find("title") is not None
            assert not re.search(r"nan|inf(?!/)", chart)


def test_identical_samples_make_charts() -> None:
    """Nothing to divide by: the spread is zero."""
    assert "nan" not in page_of(result([5.0] * 20, accuracy=ACCURACY)).lower()


def test_what_lies_off_the_scale_is_said() -> None:
    """One sample of a second would flatten the rest; leaving it out unsaid would be a lie."""
    assert "1 beyond, up to 1000.0 ms" in page_of(result([10.0] * 200 + [1000.0]))


def test_long_series_do_not_make_a_huge_page() -> None:
    samples = np.random.default_rng(1).lognormal(0.0, 0.1, 60_000)
    assert len(latency_over_time("x", samples)) < 20_000


def test_accuracy_is_drawn_where_it_is_known_and_left_out_elsewhere() -> None:
    heading = "Accuracy against latency"
    assert heading not in page_of(result(noisy()))
    both = page_of(result(noisy(), accuracy=ACCURACY), result(noisy(), "b.onnx"))
    assert heading in both
    assert both.count('class="point"') == 1
    assert "71.25% top-1 on 500 images, measured on this file" in both


def cells_of(page: str, heading: str) -> list[str]:
    """The texts of a column in the first table."""
    table = page[page.index("<table>") : page.index("</table>")]
    cells = re.findall(rf'<td data-label="{re.escape(heading)}"><span>(.*?)</span></td>', table)
    return [re.sub(r"<[^>]+>", "", cell) for cell in cells]


def test_the_first_table_has_all_that_a_choice_depends_on() -> None:
    """A latency without its accuracy, its fallback and its runtime compares unequal things."""
    page = page_of(
        result(noisy(), accuracy=ACCURACY, placement=PLACEMENT, reasons=["busy", "short"]),
        result(noisy(), "b.onnx", cold_start={"load_ms": 1, "first_ms": 1, "memory_bytes": None}),
    )
    assert cells_of(page, "runtime") == ["ONNX Runtime 1.31.1", "ONNX Runtime 1.31.1"]
    assert cells_of(page, "operators outside") == ["3 of 43 XNNPACK, 2 partitions", "-"]
    assert cells_of(page, "accuracy") == ["71.25% top-1 500 images, this file", "-"]
    assert cells_of(page, "memory MB") == ["108", "-"]
    assert cells_of(page, "valid") == ["no busy", "yes"]


def test_a_device_is_named_with_the_runtime_that_it_reports() -> None:
    phone = {"processor": "Pixel 9 (Tensor G4)", "system": "16", "runtime_version": "1.27.0"}
    page = page_of(result(noisy(), backend="onnxruntime on Pixel 9", device=phone))
    (cell,) = cells_of(page, "runtime")
    assert cell == "onnxruntime on Pixel 9 1.27.0Pixel 9 (Tensor G4)"
    assert "Measure again" not in page  # the file does not tell how the device was reached


@pytest.mark.parametrize(
    ("backends", "protocol", "options"),
    [
        (["onnxruntime"], {"name": "quick"}, "--threads 1 --preset quick"),
        (
            ["torch", "onnxruntime"],
            {"name": "custom", "runs": 30, "seconds": 2.5},
            "--threads 1 --backend torch --backend onnxruntime --runs 30 --min-seconds 2.5",
        ),
    ],
    ids=["preset", "own-limits-and-the-reference"],
)
def test_the_command_that_measures_again(
    backends: list[str], protocol: dict[str, Any], options: str
) -> None:
    """It is parsed, because a reader pastes it."""
    rules = {"name": "quick", "runs": 128, "seconds": 10.0, "threads": 1} | protocol
    results = [result(noisy(), "my model.onnx", backend=backend) for backend in backends]
    page = page_of(*results, protocol=rules)
    (command,) = re.findall(r"<pre>(.*?)</pre>", page)
    assert html.unescape(command) == f"lvt-bench 'somewhere/my model.onnx' {options}"
    check_ours("lvt-bench", shlex.split(html.unescape(command))[1:])


def test_a_figure_without_classes_is_no_point() -> None:
    nothing = ACCURACY | {"figures": {}}
    assert "Accuracy against latency" not in page_of(result(noisy(), accuracy=nothing))


@pytest.mark.parametrize(
    "picture",
    [EVIL, "", jpeg("red") + '"', "PHN2Zz48L3N2Zz4="],
    ids=["text", "none", "quote", "svg"],
)
def test_a_picture_is_a_jpeg_or_the_file_is_refused(picture: str) -> None:
    """What stands in an attribute of the page, and in a browser's decoder, is what we wrote."""
    with pytest.raises(UserError, match="damaged"):
        page_of(result(noisy(), answer=OVERLAY | {"overlay": picture}))


def test_one_picture_and_its_answers() -> None:
    """The original once for all that were asked about it; classes where nothing is drawn."""
    page = page_of(
        result(noisy(), answer=OVERLAY),
        result(noisy(), "b.onnx", answer=CLASSES),
        result(noisy(), "c.onnx"),
    )
    assert page.count(jpeg("red")) == 1
    assert page.count(jpeg("blue")) == 1
    assert "tabby: 61.2%" in page
    assert "2: b.onnx</figcaption>" in page
    assert "3: c.onnx</figcaption>" not in page
    assert "Predictions for a sample picture" not in page_of(result(noisy()))


def test_the_drift_that_makes_a_run_invalid_stands_out() -> None:
    """A running median shows a slope; how much it is, and whether it matters, takes a figure."""
    page = page_of(result([10.0] * 60 + [12.0] * 30))
    assert '<span class="bad">+20.0%</span>' in page
    assert re.search(r'd="M0\.00 [0-9.]+H33\.33M66\.67 [0-9.]+H100\.00" class="thirds"', page)
    assert "<span>+5.0%</span>" in page_of(result([10.0] * 60 + [10.5] * 30))


def test_sensors_are_drawn_where_they_were_read() -> None:
    page = page_of(result(noisy(), conditions=CONDITIONS))
    assert "41 to 88 °C" in page
    assert "2100 to 3400 MHz" in page
    charts = re.findall(r'class="reading"', page)
    assert len(charts) == 2
    assert 'points="0.00,95.0 100.00,5.0" class="reading"' in page  # no reading, no point
    assert "°C" not in page_of(result(noisy(), conditions=[]))
    steady = [entry | {"celsius": 50.0, "mhz": None} for entry in CONDITIONS]
    page = page_of(result(noisy(), conditions=steady))
    assert ">50 °C<" in page
    assert "MHz" not in page


def test_profiles_share_one_scale() -> None:
    """Bars that each fill their own width would hide which artifact is slower."""
    half = PROFILE | {"families": {"convolutions": 7.5}, "inference_ms": 10.0, "between_ms": 2.5}
    page = page_of(
        result(noisy(), profile=PROFILE),
        result(noisy(), "b.onnx", profile=half),
        result(noisy(), "c.onnx"),
    )
    widths = re.findall(r'width="([0-9.]+%)" height="8" class="bar"', page)
    assert widths == ["100.00%", "13.33%", "20.00%", "50.00%", "16.67%", "0.00%"]
    assert "15.00 ms, 75%" in page
    assert "between operators" in page
    assert "Conv, backbone.0" in page
    assert "Note: whole microseconds." in page
    assert "1.25 times the timed ones, because of the profiler or a busy machine" in page
    assert "Where the time goes" not in page_of(result(noisy()))


def test_files_from_before_these_fields_are_read() -> None:
    """Energy, conditions, answers and profiles came later, under the same schema."""
    file = parse_report(result_file(result(noisy())), "test")
    (only,) = file.results
    assert (only.joules, only.readings, only.prediction, only.profile) == (None, (), None, None)


def test_energy_stands_in_the_table() -> None:
    assert "312.5" in page_of(result(noisy(), joules_per_inference=0.3125))


@pytest.mark.parametrize(
    "changes",
    [
        {"joules_per_inference": "much"},
        {"conditions": [{"run": 1}]},
        {"profile": PROFILE | {"inference_ms": 0.0}},
        {"profile": {}},
    ],
    ids=["energy", "conditions", "no-time", "no-profile"],
)
def test_damaged_extras_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="damaged"):
        page_of(result(noisy(), **changes))


def test_report_from_a_stored_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "a.json", result_file(result(noisy(), reasons=["busy"])))
    page = tmp_path / "new" / "report.html"
    assert run(cli.app, "report", file, "--html", page) == 0
    output = capfd.readouterr()
    assert "p90 [95% CI]" in output.out
    assert "not valid: model.onnx: busy" in output.err
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]


def test_many_outliers_are_noted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    samples = [10.0, 10.1, 10.2, 10.3] * 24 + [30.0] * 4
    file = write(tmp_path / "a.json", result_file(result(samples)))
    assert run(cli.app, "report", file) == 0
    assert "4 of 100 inferences took more than" in capfd.readouterr().err


def test_errors_leave_no_page(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    assert run(cli.app, "report", tmp_path / "absent.json", "--html", page) == 2
    assert "cannot read" in one_line_error(capfd)
    assert not page.exists()
    file = write(tmp_path / "a.json", result_file(result(noisy())))
    (tmp_path / "folder.html").mkdir()
    assert run(cli.app, "report", file, "--html", tmp_path / "folder.html") == 2
    assert "is a folder" in capfd.readouterr().err
    before = file.read_text("utf-8")
    assert run(cli.app, "report", file, "--html", file) == 2
    assert "is read by this command" in one_line_error(capfd)
    assert file.read_text("utf-8") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "folder.html"]
