"""The Core ML evaluator on converted models, its errors, and its session."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

pytest.importorskip("coremltools", reason="coremltools is not installed")

from export.session import Session
from export.targets.coreml.evaluator import Evaluator
from export.targets.coreml.ops import OPERATORS
from export.targets.coreml.session import EvaluatorSession
from lvt.data.metrics import decibels, power
from lvt.errors import UserError
from tests.export.targets.coreml.packages import ct, save_linear_program, save_program

SIZE = 32


class Small(nn.Module):
    """A bit of everything that a vision transformer has."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.GELU())
        self.local = nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=16)
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.head = nn.Conv2d(4, 8, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(image)
        x = x + F.silu(self.local(x))
        n, c, h, w = x.shape
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        q, k, v = self.qkv(tokens).reshape(n, h * w, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        attended = (q @ k.transpose(-2, -1) * 8**-0.5).softmax(-1) @ v
        x = x + attended.transpose(1, 2).reshape(n, h * w, c).transpose(1, 2).reshape(n, c, h, w)
        coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear")
        x = torch.cat([F.pixel_shuffle(x, 2), self.up(coarse)], 1)[:, ::3]
        x = F.pad(x, (1, 0, 0, 1), mode="reflect")[..., 1:, :-1]
        logits = self.head(F.relu(x))
        return logits, logits.argmax(1).to(torch.int32)


def _model() -> nn.Module:
    torch.manual_seed(0)
    model = Small()
    assert isinstance(model.stem[1], nn.BatchNorm2d)
    model.stem[1].running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
    model.stem[1].running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return model.eval()


def _traced(model: nn.Module) -> Any:
    return torch.jit.trace(model, torch.zeros(1, 3, SIZE, SIZE))


def _exported(model: nn.Module) -> Any:
    return torch.export.export(model, (torch.zeros(1, 3, SIZE, SIZE),)).run_decompositions({})


def _convert(program: Any, path: Path, precision: str, image: Any = None) -> Path:
    model = ct.convert(
        program,
        inputs=[image or ct.TensorType(name="image", shape=(1, 3, SIZE, SIZE))],
        outputs=[ct.TensorType(name="logits"), ct.TensorType(name="labels")],
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=getattr(ct.precision, precision),
        compute_units=ct.ComputeUnit.CPU_ONLY,
        skip_model_load=True,
    )
    model.save(str(path))
    return path


def _sqnr(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    return decibels(power(expected), power(actual.astype(np.float64) - expected))


@pytest.fixture(scope="module")
def image() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """{(frontend, precision): package} of the small model."""
    folder, model = tmp_path_factory.mktemp("packages"), _model()
    return {
        (front.__name__, precision): _convert(
            front(model), folder / f"{front.__name__}-{precision}.mlpackage", precision
        )
        for front, precision in (
            (_traced, "FLOAT32"),
            (_traced, "FLOAT16"),
            (_exported, "FLOAT32"),
        )
    }


@pytest.mark.parametrize(
    ("front", "precision", "least"),
    [
        # Sums in another order than torch's.
        ("_traced", "FLOAT32", 110.0),
        ("_exported", "FLOAT32", 110.0),
        # A float16 value is within 2^-11 of the real one, 66 dB; a dozen of them follow each other.
        ("_traced", "FLOAT16", 50.0),
    ],
)
def test_computes_what_torch_computes(
    packages: dict[tuple[str, str], Path],
    image: NDArray[np.float32],
    front: str,
    precision: str,
    least: float,
) -> None:
    with torch.inference_mode():
        logits, labels = (value.numpy() for value in _model()(torch.from_numpy(image)))
    session: Session = EvaluatorSession(packages[front, precision])
    outputs = session.run(image)
    assert list(outputs) == ["logits", "labels"]
    assert outputs["logits"].dtype == np.float32
    assert outputs["labels"].dtype == np.int32
    sqnr = _sqnr(outputs["logits"], logits)
    assert sqnr >= least
    assert (outputs["labels"] == labels).mean() > 0.99
    if precision == "FLOAT16":
        assert sqnr < 90, "a float16 file computed in float32 proves nothing"


def test_float16_values_are_rounded(
    packages: dict[tuple[str, str], Path], image: NDArray[np.float32]
) -> None:
    evaluator = Evaluator(packages["_traced", "FLOAT16"])
    halves = [name for name, kind in evaluator.program.types.items() if kind.dtype == "fp16"]
    computed = [n for op in evaluator.program.operations for n in op.outputs if n in halves]
    outputs = evaluator.run({"image": image}, intermediates=computed)
    assert len(computed) > 20
    assert all(outputs[name].dtype == np.float16 for name in computed)
    # An intermediate value is what the rest of the file continues with, not a wider one.
    first = evaluator.program.operations[0]
    assert outputs[first.outputs[0]].shape == (1, 16, SIZE // 2, SIZE // 2)


def test_intermediate_values_are_those_of_the_model(
    packages: dict[tuple[str, str], Path], image: NDArray[np.float32]
) -> None:
    evaluator = Evaluator(packages["_traced", "FLOAT32"])
    gelu = next(op for op in evaluator.program.operations if op.type == "gelu")
    stem = _model().stem  # type: ignore[union-attr]
    assert isinstance(stem, nn.Module)
    with torch.inference_mode():
        expected = stem(torch.from_numpy(image)).numpy()
    outputs = evaluator.run({"image": image}, intermediates=gelu.outputs)
    assert list(outputs) == ["logits", "labels", *gelu.outputs]
    assert _sqnr(outputs[gelu.outputs[0]], expected) > 110
    with pytest.raises(UserError, match="computes no value named nonsense"):
        evaluator.run({"image": image}, intermediates=["nonsense"])


def test_runs_are_independent(
    packages: dict[tuple[str, str], Path], image: NDArray[np.float32]
) -> None:
    session = EvaluatorSession(packages["_traced", "FLOAT16"])
    first = session.run(image)["logits"].copy()
    session.run(2 * image)
    np.testing.assert_array_equal(session.run(image)["logits"], first)


@pytest.mark.parametrize(
    ("layout", "precision", "least"), [("RGB", "FLOAT32", 110.0), ("BGR", "FLOAT16", 45.0)]
)
def test_image_input_takes_pixels(
    tmp_path: Path, layout: str, precision: str, least: float
) -> None:
    picture = ct.ImageType(
        name="image",
        shape=(1, 3, SIZE, SIZE),
        scale=1 / 58,
        bias=[-2.1, -2.0, -1.8],
        color_layout=layout,
    )
    model = _model()
    package = _convert(_traced(model), tmp_path / "a.mlpackage", precision, picture)
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, SIZE, SIZE)).astype(np.float32)
    scaled = pixels / 58 + np.array([-2.1, -2.0, -1.8]).reshape(3, 1, 1)
    with torch.inference_mode():
        expected = model(torch.from_numpy(scaled.astype(np.float32)))[0].numpy()
    assert _sqnr(EvaluatorSession(package).run(pixels)["logits"], expected) > least


def test_unknown_operator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = save_linear_program(tmp_path / "double.mlpackage")
    monkeypatch.delitem(OPERATORS, "linear")
    with pytest.raises(UserError, match=r"operator linear 'double' in double\.mlpackage"):
        Evaluator(package)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (lambda x: x, "linear 'double' in double.mlpackage with a parameter bias"),
        (lambda x, weight, bias, power: x, "double.mlpackage without power"),
    ],
)
def test_unknown_parameter_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operator: Callable[..., Tensor], message: str
) -> None:
    package = save_linear_program(tmp_path / "double.mlpackage")
    operator.__annotations__ = dict.fromkeys(("x", "weight", "bias", "power"), Tensor)
    if "power" not in message:
        operator.__annotations__ = {"x": Tensor}
    monkeypatch.setitem(OPERATORS, "linear", operator)
    with pytest.raises(UserError, match=message):
        Evaluator(package)


def test_undocumented_combination_is_refused(tmp_path: Path) -> None:
    from coremltools.converters.mil.mil import Builder

    package = save_program(
        tmp_path / "a.mlpackage",
        [((1, 2, 4, 4), "float32")],
        lambda x: Builder.resize(
            x=x,
            shape=[8, 8],
            resized_dims=np.uint32(2),
            interpolation_mode="NEAREST_NEIGHBOR",
            sampling_mode="ALIGN_CORNERS",
            name="larger",
        ),
        ct.target.iOS17,
    )
    with pytest.raises(UserError, match=r"resize 'larger' .* NEAREST_NEIGHBOR with sampling_mode"):
        Evaluator(package).run({"x0": np.zeros((1, 2, 4, 4), np.float32)})


def test_result_of_another_shape_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return x[:1]

    halved.__annotations__ = dict.fromkeys(("x", "weight", "bias"), Tensor)
    monkeypatch.setitem(OPERATORS, "linear", halved)
    evaluator = Evaluator(save_linear_program(tmp_path / "a.mlpackage"))
    with pytest.raises(UserError, match=r"computes \(1, 16\) where the file has \(2, 16\)"):
        evaluator.run({"x0": np.zeros((2, 16), np.float32)})


def test_inputs_are_checked(tmp_path: Path) -> None:
    evaluator = Evaluator(save_linear_program(tmp_path / "a.mlpackage"))
    with pytest.raises(UserError, match="needs an input named x0"):
        evaluator.run({})
    with pytest.raises(UserError, match=r"takes x0 as \(2, 16\), not \(3, 16\)"):
        evaluator.run({"x0": np.zeros((3, 16), np.float32)})


def test_values_are_dropped_after_their_last_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coremltools.converters.mil.mil import Builder

    results: list[weakref.ref[Tensor]] = []
    most = 0

    def relu(x: Tensor) -> Tensor:
        nonlocal most
        out = x.clamp(min=0)
        results.append(weakref.ref(out))
        most = max(most, sum(ref() is not None for ref in results))
        return out

    def chain(x: Any) -> Any:
        first = Builder.relu(x=x)
        x = first
        for _ in range(8):
            x = Builder.relu(x=x)
        return Builder.add(x=x, y=first)

    relu.__annotations__ = {"x": Tensor}
    monkeypatch.setitem(OPERATORS, "relu", relu)
    package = save_program(tmp_path / "a.mlpackage", [((4,), "float32")], chain, ct.target.iOS16)
    (result,) = Evaluator(package).run({"x0": np.ones(4, np.float32)}).values()
    np.testing.assert_array_equal(result, np.full(4, 2))
    assert len(results) == 9
    assert most == 3  # the first, which is needed at the end; an operand; its result


def test_inputs_may_be_views(tmp_path: Path) -> None:
    evaluator = Evaluator(save_linear_program(tmp_path / "a.mlpackage"))
    x = np.arange(32, dtype=np.float32).reshape(2, 16)
    expected = evaluator.run({"x0": x[::-1, ::-1].copy()})
    for name, value in evaluator.run({"x0": x[::-1, ::-1]}).items():
        np.testing.assert_array_equal(value, expected[name])


def test_constant_can_be_an_output(tmp_path: Path) -> None:
    from coremltools.converters.mil.mil import Builder

    values = np.arange(600, dtype=np.float32)
    package = save_program(
        tmp_path / "a.mlpackage",
        [((600,), "float32")],
        lambda x: [Builder.add(x=x, y=values), Builder.const(val=values, name="table")],
        ct.target.iOS16,
    )
    outputs = Evaluator(package).run({"x0": np.ones(600, np.float32)})
    np.testing.assert_array_equal(outputs["table"], values)


def test_scalars_are_not_vectors(tmp_path: Path) -> None:
    from coremltools.converters.mil.mil import Builder

    package = save_program(
        tmp_path / "a.mlpackage",
        [((3, 4), "float32")],
        lambda x: Builder.mul(x=x, y=Builder.reduce_max(x=x)),
        ct.target.iOS16,
    )
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    (result,) = Evaluator(package).run({"x0": x}).values()
    np.testing.assert_array_equal(result, 11 * x)


# Packages that cannot be read.
