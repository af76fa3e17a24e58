"""The page's pictures: what every artifact says of the same photo."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

from device_bench.report.markup import Markup, element
from device_bench.results.read import Result
from device_bench.results.sample_prediction import SamplePrediction

Answered = tuple[str, SamplePrediction]
"""What an artifact is called on the page, and its answer."""


def pictures(results: Sequence[Result]) -> Iterator[Markup]:
    """A picture, then the answers to it, for each picture there is; nothing where none is."""
    asked: dict[bytes, list[Answered]] = {}
    for number, result in enumerate(results, start=1):
        if result.answer is not None:
            answered = (f"{number}: {result.label}", result.answer)
            asked.setdefault(result.answer.original, []).append(answered)
    if asked:
        yield element("h2", "Answers to a picture")
    for original, answers in asked.items():
        yield element(
            "div",
            _figure(_image(original, "the picture"), "The picture."),
            *(_answer(name, answer) for name, answer in answers),
            class_="grid",
        )


def _answer(name: str, answer: SamplePrediction) -> Markup:
    if answer.overlay is not None:
        return _figure(_image(answer.overlay, f"the answer of {name}"), name)
    classes = (element("li", f"{label}: {percent:.1f}%") for label, percent in answer.classes)
    return _figure(element("ol", *classes), name)


def _figure(content: Markup, caption: str) -> Markup:
    return element("figure", content, element("figcaption", caption))


def _image(jpeg: bytes, text: str) -> Markup:
    source = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    return element("img", src=source, alt=text)
