"""Training: losses of every head, exact resumption, fine-tuning on a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lvt.checkpoint import identify, load_model, read_checkpoint, write_checkpoint
from lvt.data.datasets.samples import PanopticSample
from lvt.demo import (
    DEMO_CHECKPOINT,
    DEMO_PANOPTIC,
    HELD_OUT_SEEDS,
    TRAINING_SEEDS,
)
from lvt.demo.dataset import DemoScenes
from lvt.demo.scenes import CLASSES, THING_CLASSES, write_coco_panoptic
from lvt.errors import UserError
from lvt.models import ModelSpec, build_random
from lvt.panoptic.config import AnchorConfig, PanopticConfig, ProposalConfig, RoIConfig
from lvt.panoptic.model import LVTPanoptic
from lvt.panoptic.quality import PanopticTruth, TrueSegment
from lvt.training.batch import collate
from lvt.training.data import ResizedCocoPanoptic
from lvt.training.evaluate import evaluate
from lvt.training.initialise import initialise
from lvt.training.loader import draw_in_process, draw_in_worker
from lvt.training.loop import TrainConfig, Trainer
from lvt.training.losses import LossConfig, panoptic_losses
from lvt.training.request import TrainRequest
from lvt.training.run import train
from tests.conftest import TINY

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = (64, 64)
CONFIG = PanopticConfig(
    things=2,
    stuff=2,
    channels=16,
    semantic_channels=8,
    semantic_groups=2,
    anchors=AnchorConfig(scale=4.0),
    proposals=ProposalConfig(per_level=20, count=20),
    roi=RoIConfig(box_channels=32, mask_convs=1, finest_scale=14.0),
)
SPEC = ModelSpec.for_panoptic(TINY, CONFIG)
LOSSES = LossConfig(rpn_samples=32, roi_samples=16, proposals=CONFIG.proposals)


@dataclass(frozen=True)
class Squares:
    """Pictures of one bright square, of class 0 if red and 1 if green, on dark ground and sky."""

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> PanopticSample:
        rng = np.random.default_rng(index)
        image = rng.integers(0, 40, (*SIZE, 3)).astype(np.uint8)
        ids = np.ones(SIZE, np.int32)
        ids[32:] = 2
        image[32:, :, 2] += 120
        side, label = int(rng.integers(14, 30)), int(rng.integers(2))
        top, left = (int(v) for v in rng.integers(0, 64 - side, 2))
        image[top : top + side, left : left + side, label] = 220
        ids[top : top + side, left : left + side] = 3
        segments = (TrueSegment(1, 2), TrueSegment(2, 3), TrueSegment(3, label))
        return PanopticSample(image, PanopticTruth(ids, segments))


def model() -> LVTPanoptic:
    made = build_random(SPEC)
    assert isinstance(made, LVTPanoptic)
    initialise(made, torch.Generator().manual_seed(0))
    return made


def config(steps: int) -> TrainConfig:
    return TrainConfig(
        steps=steps, batch=2, size=SIZE, crop=SIZE, warmup=5, learning_rate=2e-3, losses=LOSSES
    )


def test_initial_weights_depend_on_the_seed_alone() -> None:
    first = model().state_dict()
    torch.manual_seed(5)
    assert all(torch.equal(value, first[key]) for key, value in model().state_dict().items())


def test_gradients_reach_every_parameter() -> None:
    """A head that is left out of the loss would silently stay random."""
    made = model().train()
    samples = [Squares()[index] for index in range(2)]
    losses = panoptic_losses(
        made, collate(samples, SIZE, (2, 2)), LOSSES, torch.Generator().manual_seed(0)
    )
    assert all(torch.isfinite(loss) for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    still = [
        name
        for name, parameter in made.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert still == []


def test_picture_without_things_trains_the_rest() -> None:
    empty = PanopticSample(
        np.zeros((*SIZE, 3), np.uint8), PanopticTruth(np.ones(SIZE, np.int32), (TrueSegment(1, 2),))
    )
    losses = panoptic_losses(
        model().train(), collate([empty], SIZE, (2, 2)), LOSSES, torch.Generator().manual_seed(0)
    )
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert float(losses["mask"].detach()) == 0
    assert float(losses["box"].detach()) == 0


@pytest.mark.slow
def test_every_loss_falls() -> None:
    """On pictures it was not trained on, and the same samples of them before and after."""
    fresh = model()
    batch = collate([Squares()[5000 + index] for index in range(8)], SIZE, (2, 2))

    def losses() -> dict[str, float]:
        with torch.no_grad():
            found = panoptic_losses(fresh.train(), batch, LOSSES, torch.Generator().manual_seed(0))
        return {name: float(loss) for name, loss in found.items()}

    before = losses()
    Trainer(fresh, Squares(), config(120), worker=False).run(lambda _report: None)
    after = losses()
    # Proposals get better, so more of them have a box to learn: that loss need not be lower.
    for name in before.keys() - {"box"}:
        assert after[name] < 0.8 * before[name], (name, before, after)


def test_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Bitwise: what is random depends on seed and step, and the state holds everything else."""
    straight = Trainer(model(), Squares(), config(6), worker=False)
    straight.run(lambda _report: None)
    first = Trainer(model(), Squares(), config(6), worker=False)
    first.run(lambda _report: None, until=3)
    first.save(tmp_path / "state")
    torch.manual_seed(123)
    second = Trainer(model(), Squares(), config(6), worker=False)
    second.resume(tmp_path / "state")
    assert second.step == 3
    second.run(lambda _report: None)
    ours = second.model.state_dict()
    assert all(torch.equal(v, ours[k]) for k, v in straight.model.state_dict().items())


def test_state_of_another_run_is_refused(tmp_path: Path) -> None:
    Trainer(model(), Squares(), config(6), worker=False).save(tmp_path / "state")
    other = Trainer(model(), Squares(), config(7), worker=False)
    with pytest.raises(UserError, match=r"other settings \(steps\)"):
        other.resume(tmp_path / "state")
    with pytest.raises(UserError, match="no training state"):
        other.resume(tmp_path / "none")
    (tmp_path / "damaged").write_bytes(b"no state")
    with pytest.raises(UserError, match="damaged"):
        other.resume(tmp_path / "damaged")


def test_worker_draws_what_this_process_would() -> None:
    """So that a run does not depend on where its pictures were drawn."""
    steps, source = range(3, 5), DemoScenes(size=(128, 160))
    sizes = {3: (96, 96), 4: (128, 160)}
    with draw_in_worker(source, steps, sizes.get, seed=1, count=1) as ahead:
        drawn = list(ahead)
    with draw_in_process(source, steps, sizes.get, seed=1, count=1) as here:
        for ours, theirs in zip(here, drawn, strict=True):
            assert np.array_equal(ours[0].image, theirs[0].image)
            assert np.array_equal(ours[0].truth.ids, theirs[0].truth.ids)


def test_held_out_scenes_are_never_drawn() -> None:
    assert not set(HELD_OUT_SEEDS) & set(TRAINING_SEEDS[:100_000])
    assert HELD_OUT_SEEDS.stop <= TRAINING_SEEDS.start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_coco_panoptic(tmp_path / "data", [TRAINING_SEEDS[0], TRAINING_SEEDS[1]], (128, 160))
    return tmp_path / "data"


def test_folder_in_coco_format_gives_the_scenes_back(folder: Path) -> None:
    source = ResizedCocoPanoptic(folder, (128, 160))
    scene = DemoScenes(size=(128, 160))[0]
    assert (source.things, source.stuff) == (len(THING_CLASSES), len(CLASSES) - len(THING_CLASSES))
    assert source.names == CLASSES
    assert len(source) == 2
    assert np.array_equal(source[0].image, scene.image)
    assert np.array_equal(source[0].truth.ids, scene.truth.ids)
    assert source[0].truth.segments == scene.truth.segments


def test_folder_pictures_are_shrunk_with_their_truth(folder: Path) -> None:
    sample = ResizedCocoPanoptic(folder, (64, 96))[0]
    assert sample.image.shape == (64, 80, 3)
    assert sample.truth.ids.shape == (64, 80)
    assert set(np.unique(sample.truth.ids)) <= {segment.id for segment in sample.truth.segments}


def test_categories_in_any_order_become_things_then_stuff(folder: Path) -> None:
    path = folder / "panoptic.json"
    data = json.loads(path.read_text())
    data["categories"].reverse()
    path.write_text(json.dumps(data))
    source = ResizedCocoPanoptic(folder, (128, 160))
    assert source.names[: source.things] == tuple(reversed(THING_CLASSES))
    label = {s.id: source.names[s.label] for s in source[0].truth.segments}
    scene = DemoScenes(size=(128, 160))[0]
    assert label == {s.id: CLASSES[s.label] for s in scene.truth.segments}


def test_damaged_folders(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no COCO panoptic JSON"):
        ResizedCocoPanoptic(tmp_path / "empty", SIZE)
    (folder / "panoptic.json").write_text("{}")
    with pytest.raises(UserError, match="no COCO panoptic JSON"):
        ResizedCocoPanoptic(folder, SIZE)
    (folder / "panoptic.json").write_text("no JSON")
    with pytest.raises(UserError, match="cannot read"):
        ResizedCocoPanoptic(folder, SIZE)


def test_truth_of_another_size_than_its_picture_is_refused(folder: Path) -> None:
    path = next((folder / "panoptic").iterdir())
    Image.new("RGB", (10, 10)).save(path)
    source = ResizedCocoPanoptic(folder, SIZE)
    with pytest.raises(UserError, match="differ in size"):
        list(map(source.__getitem__, range(2)))


def test_fine_tuning_takes_over_what_fits(tmp_path: Path, folder: Path) -> None:
    """Two things and two stuff become twelve and nine; everything but the outputs is kept."""
    start = model()
    write_checkpoint(tmp_path / "start.safetensors", start, SPEC)
    request = TrainRequest(
        out=tmp_path / "tuned.safetensors",
        checkpoint=tmp_path / "start.safetensors",
        data=folder,
        validation=folder,
        size=(64, 96),
        steps=2,
        batch=1,
        learning_rate=1e-9,
        evaluated=1,
        log=tmp_path / "log.jsonl",
    )
    result = train(request, lambda _report, _total: None)
    checkpoint = read_checkpoint(result.path)
    spec = identify(checkpoint)
    assert spec.panoptic == replace(CONFIG, things=12, stuff=9)
    assert checkpoint.meta.class_names == CLASSES
    assert checkpoint.meta.input_size == (64, 96)
    kept = checkpoint.state_dict["neck.lateral_convs.0.conv.weight"]
    assert torch.allclose(kept, start.neck.lateral_convs[0].conv.weight, atol=1e-3)  # float16
    assert result.quality is not None
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["pictures"] == 1


def shipped() -> LVTPanoptic:
    checkpoint = read_checkpoint(DEMO_CHECKPOINT)
    loaded = load_model(checkpoint, identify(checkpoint, task="panoptic"))
    assert isinstance(loaded, LVTPanoptic)
    assert checkpoint.meta.class_names == CLASSES
    assert loaded.config == DEMO_PANOPTIC
    return loaded


def test_shipped_checkpoint_understands_held_out_scenes() -> None:
    """The demonstration must show a correct picture on a machine that has never trained."""
    scenes = DemoScenes(seeds=HELD_OUT_SEEDS)
    report = evaluate(shipped(), (scenes[index] for index in range(10)))
    assert report.all.pq >= 0.75
