"""Data movement: layout, slicing, concatenation, padding; and operators that create tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from export.targets.coreml.ops.operator_types import Operator


def _reshape(x: Tensor, shape: list[int]) -> Tensor:
    # A 0 keeps the size of x's axis at the same distance from the end.
    sizes = list(shape)
    for back in range(1, len(sizes) + 1):
        if sizes[-back] == 0:
            sizes[-back] = x.shape[-back] if back <= x.ndim else 1
    return x.reshape(sizes)


def _transpose(x: Tensor, perm: list[int]) -> Tensor:
    return x.permute(perm)


def _expand_dims(x: Tensor, axes: list[int]) -> Tensor:
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(x: Tensor, axes: list[int] | None = None) -> Tensor:
    # Like MIL, torch ignores axes that are longer than 1.
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _concat(values: list[Tensor], axis: int, interleave: bool = False) -> Tensor:
    if values[0].ndim == 0:
        return torch.stack(values)
    if interleave:
        axis %= values[0].ndim
        return torch.stack(values, axis + 1).flatten(axis, axis + 1)
    return torch.cat(values, axis)


def _stack(values: list[Tensor], axis: int) -> Tensor:
    return torch.stack(values, axis)


def _split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: list[int] | None = None
) -> tuple[Tensor, ...]:
    if split_sizes is None:
        assert num_splits is not None, "MIL demands one of the two"
        return x.tensor_split(num_splits, axis)
    return x.split(split_sizes, axis)


def _tile(x: Tensor, reps: list[int]) -> Tensor:
    return x.tile(reps)


def _reverse(x: Tensor, axes: list[int] | None = None) -> Tensor:
    return x.flip(list(range(x.ndim)) if axes is None else axes)


def _ranges(
    x: Tensor,
    begin: list[int],
    end: list[int],
    stride: list[int] | None,
    begin_mask: list[bool] | None,
    end_mask: list[bool] | None,
    squeeze_mask: list[bool] | None,
) -> list[range]:
    """The positions that a slice selects along each axis, by Python's rules."""
    rank = x.ndim
    no_mask = [False] * rank
    steps, squeezed = stride or [1] * rank, squeeze_mask or no_mask
    begin_masked, end_masked = begin_mask or no_mask, end_mask or no_mask
    ranges = []
    for axis, size in enumerate(x.shape):
        start = None if begin_masked[axis] else begin[axis]
        if squeezed[axis]:
            position = (start or 0) % size
            ranges.append(range(position, position + 1))
            continue
        stop = None if end_masked[axis] else end[axis]
        ranges.append(range(*slice(start, stop, steps[axis]).indices(size)))
    return ranges


def _take(x: Tensor, ranges: list[range]) -> Tensor:
    for axis, positions in enumerate(ranges):
        if positions.step > 0:
            index = (slice(None),) * axis + (
                slice(positions.start, max(positions.stop, positions.start), positions.step),
            )
            x = x[index]
        else:  # torch slices forwards only
            x = x.index_select(axis, torch.tensor(list(positions)))
    return x


def _slice_by_index(
    x: Tensor,
    begin: list[int],
    end: list[int],
    stride: list[int] | None = None,
    begin_mask: list[bool] | None = None,
    end_mask: list[bool] | None = None,
    squeeze_mask: list[bool] | None = None,
) -> Tensor:
    ranges = _ranges(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    squeezed = tuple(axis for axis, mask in enumerate(squeeze_mask or []) if mask)
    return _take(x, ranges).squeeze(squeezed)


def _slice_update(
    x: Tensor,
    update: Tensor,
    begin: list[int],
    end: list[int],
    stride: list[int] | None = None,
    begin_mask: list[bool] | None = None,
    end_mask: list[bool] | None = None,
    squeeze_mask: list[bool] | None = None,
) -> Tensor:
    ranges = _ranges(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    grid = torch.meshgrid(
        *(torch.tensor(list(r), dtype=torch.int64) for r in ranges), indexing="ij"
    )
    out = x.clone()
    out[grid] = update.reshape(grid[0].shape)
    return out


def _slice_by_size(x: Tensor, begin: list[int], size: list[int]) -> Tensor:
    for axis, (start, count) in enumerate(zip(begin, size, strict=True)):
        length = x.shape[axis]
        position = start % length
        x = x.narrow(axis, position, length - position if count == -1 else count)
    return x


def _reflect(position: int, size: int) -> int:
    if size == 1:
        return 0
    position %= 2 * (size - 1)
    return min(position, 2 * (size - 1) - position)


def _pad(x: Tensor, pad: list[int], mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    if mode == "constant":
        return F.pad(x, [p for pair in reversed(pairs) for p in pair], value=constant_val)
    # torch restricts the other modes to some ranks; selecting positions works for all.
    for axis, (before, after) in enumerate(pairs, start=x.ndim - len(pairs)):
        size = x.shape[axis]
        positions = range(-before, size + after)
        if mode == "reflect":
            picked = [_reflect(position, size) for position in positions]
        else:
            picked = [min(max(position, 0), size - 1) for position in positions]
        x = x.index_select(axis, torch.tensor(picked))
    return x


def _crop(x: Tensor, crop_height: list[int], crop_width: list[int]) -> Tensor:
    height, width = x.shape[-2:]
    return x[..., crop_height[0] : height - crop_height[1], crop_width[0] : width - crop_width[1]]


def _pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    return F.pixel_shuffle(x, upscale_factor)


def _pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    return F.pixel_unshuffle(x, downscale_factor)


# Unlike in the two above, in these two the position within a block varies slower than the channel.


def _depth_to_space(x: Tensor, block_size: int) -> Tensor:
    n, c, h, w = x.shape
    b, channels = block_size, c // block_size**2
    out = x.view(n, b, b, channels, h, w).permute(0, 3, 4, 1, 5, 2)
    return out.reshape(n, channels, h * b, w * b)


def _space_to_depth(x: Tensor, block_size: int) -> Tensor:
    n, c, h, w = x.shape
    b = block_size
    out = x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
    return out.reshape(n, c * b * b, h // b, w // b)


def _space_to_batch(x: Tensor, block_shape: list[int], paddings: list[int]) -> Tensor:
    top, bottom, left, right = paddings
    x = F.pad(x, (left, right, top, bottom))
    n, c, h, w = x.shape
    bh, bw = block_shape
    out = x.view(n, c, h // bh, bh, w // bw, bw).permute(3, 5, 0, 1, 2, 4)
    return out.reshape(bh * bw * n, c, h // bh, w // bw)


def _batch_to_space(x: Tensor, block_shape: list[int], crops: list[int]) -> Tensor:
    n, c, h, w = x.shape
    bh, bw = block_shape
    out = x.reshape(bh, bw, n // (bh * bw), c, h, w).permute(2, 3, 4, 0, 5, 1)
    return _crop(out.reshape(n // (bh * bw), c, h * bh, w * bw), crops[:2], crops[2:])


def _sliding_windows(x: Tensor, axis: int, size: int, stride: int = 1) -> Tensor:
    axis %= x.ndim
    return x.unfold(axis, size, stride).movedim(-1, axis + 1)


def _band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    if lower >= 0:
        x = x.triu(-lower)
    return x.tril(upper) if upper >= 0 else x


def _shape(x: Tensor) -> Tensor:
    return torch.tensor(x.shape, dtype=torch.int32)


def _fill(shape: list[int], value: float = 0.0) -> Tensor:
    return torch.full(shape, value)


def _fill_like(ref_tensor: Tensor, value: float = 0.0) -> Tensor:
    return torch.full(ref_tensor.shape, value)


def _range_1d(start: Tensor, end: Tensor, step: Tensor) -> Tensor:
    return torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype)


def _one_hot(
    indices: Tensor,
    one_hot_vector_size: int,
    axis: int = -1,
    on_value: float = 1.0,
    off_value: float = 0.0,
) -> Tensor:
    axis %= indices.ndim + 1
    positions = torch.arange(one_hot_vector_size).view(-1, *[1] * (indices.ndim - axis))
    return torch.where(indices.unsqueeze(axis) == positions, on_value, off_value)


def _reshape_like(
    x: Tensor,
    ref_tensors: list[Tensor],
    begins: list[Tensor],
    ends: list[Tensor],
    end_masks: list[Tensor],
) -> Tensor:
    sizes: list[int] = []
    for reference, begin, end, mask in zip(ref_tensors, begins, ends, end_masks, strict=True):
        stop = reference.ndim if bool(mask) else int(end)
        sizes += reference.shape[int(begin) : stop]
    return x.reshape(sizes)


OPERATORS: dict[str, Operator] = {
    "band_part": _band_part,
    "batch_to_space": _batch_to_space,
    "concat": _concat,
    "crop": _crop,
    "depth_to_space": _depth_to_space,
    "expand_dims": _expand_dims,
    "fill": _fill,
    "fill_like": _fill_like,
    "one_hot": _one_hot,
    "pad": _pad,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "range_1d": _range_1d,
    "reshape": _reshape,
    "reshape_like": _reshape_like,
    "reverse": _reverse,
    "shape": _shape,
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "slice_update": _slice_update,
    "sliding_windows": _sliding_windows,
    "space_to_batch": _space_to_batch,
    "space_to_depth": _space_to_depth,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _tile,
    "transpose": _transpose,
}
