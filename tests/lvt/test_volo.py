"""VOLO's stem layout: sizes, positions, and errors of its configuration."""

from __future__ import annotations

import pytest
import torch

from lvt import backbone
from lvt.config import LVT, PRESETS, LVTConfig, preset
from lvt.errors import UserError
from lvt.models import ModelSpec, build, default_spec
from lvt.volo import PositionedEmbed, resize_positions
from tests.conftest import TINY_ABLATION

VOLO = TINY_ABLATION["volo_d0"]


@pytest.mark.parametrize("size", [(224, 224), (15, 15), (61, 98), (127, 40)], ids=str)
def test_maps_have_the_sizes_that_the_configuration_tells(size: tuple[int, int]) -> None:
    """Manifests and exports take them from there."""
    model = backbone.LVT(VOLO).eval()
    with torch.inference_mode():
        maps = model(torch.zeros(1, 3, *size))
    sizes = [(*features.shape[-2:],) for features in maps]
    assert sizes == [VOLO.map_size(size, stage) for stage in range(4)]


def test_smallest_side() -> None:
    assert VOLO.min_side == 15
    model = backbone.LVT(VOLO).eval()
    with pytest.raises(ValueError, match="14x40; each side must be at least 15"):
        model(torch.zeros(1, 3, 14, 40))
    # One pixel less, and the map of the second stage would be empty.
    assert VOLO.map_size((14, 40), stage=1) == (0, 2)


def test_maps_of_one_stride_have_names_of_their_own() -> None:
    names = ModelSpec("backbone", VOLO).outputs
    assert names == ("stage1_stride8", "stage2_stride16", "stage3_stride16", "stage4_stride16")


def test_positions_are_added_as_they_are_at_224() -> None:
    embed = PositionedEmbed(4, 6).eval()
    for parameter in embed.proj.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        assert torch.equal(embed(torch.zeros(1, 28, 29, 4))[0], embed.positions[0].movedim(0, 2))
        wider = embed(torch.zeros(1, 28, 56, 4))[0].movedim(2, 0)
    # Where the grid is refined, the old places lie between the new ones; a mean is kept.
    assert wider.shape == (6, 14, 28)
    middle = embed.positions[0].mean(dim=(1, 2))
    torch.testing.assert_close(wider.mean(dim=(1, 2)), middle, rtol=0, atol=2e-3)


def test_a_plane_of_positions_stays_a_plane() -> None:
    """Half-pixel centres: a resize by corners would tilt it, by 0.1 here. Bicubic weights keep a
    plane to 0.03."""
    columns = torch.arange(14.0).expand(1, 1, 14, 14)
    resized = resize_positions(columns, (14, 28))[0, 0, 5, 8:20]
    torch.testing.assert_close(resized, torch.arange(8, 20) / 2 - 0.25, rtol=0, atol=0.05)


def test_every_preset_describes_itself() -> None:
    for name, config in PRESETS.items():
        assert LVTConfig.from_dict(config.to_dict()) == config
        assert ModelSpec("backbone", config).name == ("lvt" if name == "lvt_r2" else name)


def test_older_descriptions_are_lvt_s() -> None:
    description = LVT.to_dict()
    del description["frame"]
    assert LVTConfig.from_dict(description) == LVT


@pytest.mark.parametrize(
    ("change", "message"),
    [({"frame": "swin"}, "stem layout swin"), ({"stages": [{}]}, "not a backbone configuration")],
)
def test_unknown_stem_layouts(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        LVTConfig.from_dict(LVT.to_dict() | change)


def test_unknown_attention() -> None:
    """It must not silently become another."""
    description = LVT.to_dict()
    description["stages"][1]["attention"] = "linear"
    with pytest.raises(UserError, match="csa, linear, rasa"):
        LVTConfig.from_dict(description)


def test_panoptic_takes_a_pyramid_only() -> None:
    with pytest.raises(UserError, match="takes no volo_d0 backbone: its maps are at strides 8, 16"):
        default_spec("panoptic", "volo_d0")


def test_ablation_swaps_attentions_only() -> None:
    """Table 6: apart from the attentions, the three models have the same keys and shapes."""

    def other_weights(name: str) -> set[tuple[str, torch.Size]]:
        with torch.device("meta"):
            state = build(ModelSpec("backbone", preset(name))).state_dict()
        return {(key, value.shape) for key, value in state.items() if ".attn." not in key}

    names = ("volo_d0", "volo_d0_csa", "volo_d0_csa_rasa")
    assert len({frozenset(other_weights(name)) for name in names}) == 1
