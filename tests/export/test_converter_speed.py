"""Conversions go faster, and leave no trace in Python or in torch."""

import copy
import gc

import pytest
from torch import fx, nn
from torch.fx.traceback import NodeSource

from export.converter_speed import faster_conversion


def history() -> NodeSource:
    graph = fx.symbolic_trace(nn.ReLU()).graph
    return NodeSource(next(iter(graph.nodes)), "first pass")


def test_garbage_collection_pauses_and_goes_on() -> None:
    assert gc.isenabled()
    with faster_conversion():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_paused_garbage_collection_stays_paused() -> None:
    gc.disable()
    try:
        with faster_conversion():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_copies_share_their_history_during_a_conversion_only() -> None:
    source = history()
    with faster_conversion():
        assert copy.deepcopy(source) is source
    assert copy.deepcopy(source) is not source


def test_conversions_may_be_nested() -> None:
    source = history()
    with faster_conversion():
        with faster_conversion():
            pass
        assert copy.deepcopy(source) is source
        assert not gc.isenabled()
    assert copy.deepcopy(source) is not source


def test_an_error_ends_it_too() -> None:
    with pytest.raises(ValueError, match="refused"), faster_conversion():
        raise ValueError("refused")
    assert gc.isenabled()
    assert copy.deepcopy(history()) is not None
    assert "__deepcopy__" not in vars(NodeSource)
