"""The page's predictions: sample pictures with what each model predicted for them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

from device_bench.report.markup import Markup, element
from device_bench.results.bench_result import BenchResult
from device_bench.results.sample_prediction import SamplePrediction


def prediction_figures(results: Sequence[BenchResult]) -> Iterator[Markup]:
    """For each sample picture, the picture and all predictions; nothing where there are none."""
    by_picture: dict[bytes, list[tuple[str, SamplePrediction]]] = {}
    for number, result in enumerate(results, start=1):
        if result.prediction is not None:
            captioned = (f"{number}: {result.label}", result.prediction)
            by_picture.setdefault(result.prediction.original, []).append(captioned)
    if by_picture:
        yield element("h2", "Predictions for a sample picture")
    for original, predictions in by_picture.items():
        yield element(
            "div",
            _figure(
                _image(original, "the sample picture"),
                "The sample picture; --picture chooses another.",
            ),
            *(_prediction(caption, prediction) for caption, prediction in predictions),
            class_="grid",
        )


def _prediction(caption: str, prediction: SamplePrediction) -> Markup:
    if prediction.overlay is not None:
        return _figure(_image(prediction.overlay, f"the prediction of {caption}"), caption)
    classes = (element("li", f"{name}: {percent:.1f}%") for name, percent in prediction.classes)
    return _figure(element("ol", *classes), caption)


def _figure(content: Markup, caption: str) -> Markup:
    return element("figure", content, element("figcaption", caption))


def _image(jpeg: bytes, description: str) -> Markup:
    source = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    return element("img", src=source, alt=description)
