"""The whole block of the library as one function of PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from .. import _core
from .._core import Error
from .._settings import settings_of
from ._scan import require_cpu, require_float32


def _bind(blocks: Sequence[S4DBlock], values: Sequence[Tensor]) -> None:
    """Make the core of every block read its parameters, `values` of all blocks in turn.

    The arrays of parameters are kept as long as they stay where they are: making them anew takes a
    hundredth of a training step of a small block.
    """
    first = 0
    for block in blocks:
        own = values[first : first + len(block._names)]
        first += len(own)
        places = [value.data_ptr() for value in own]
        if places == block._places:
            continue
        for value in own:
            require_cpu(value, "a parameter")
            require_float32(value)
        block._core.bind([value.detach().numpy() for value in own])
        # The core has a copy of what is not contiguous.
        block._places = places if all(value.is_contiguous() for value in own) else None


def _run(
    blocks: Sequence[S4DBlock], values: Sequence[Tensor], u: Tensor, y: Tensor, mean: bool,
    training: bool, keep: bool,
) -> Tensor | None:
    """Write y; returns what the adjoint needs, if it is to be kept, as a tensor that owns it."""
    _bind(blocks, values)
    seeds = [
        int(torch.randint(2**31, ())) if training and block._core.draws else 0 for block in blocks
    ]
    transposed = blocks[0].transposed
    kept = _core.Block.forward(
        [block._core for block in blocks], _array(u, transposed),
        y.numpy()[..., None] if mean else _array(y, transposed), mean, training, keep, seeds,
        torch.get_num_threads(),
    )
    return None if kept is None else torch.from_numpy(kept)


def _array(u: Tensor, transposed: bool) -> np.ndarray[Any, Any]:
    """The values of sequences as [batch, channels, length], without a copy."""
    array = u.detach().numpy()
    return array if transposed else array.transpose(0, 2, 1)


class _Blocks(torch.autograd.Function):
    """Consecutive blocks on sequences in their layout; with `mean`, the mean over time.

    A small block takes little more time than some tens of operations of PyTorch, so none is done
    here that NumPy or the core can do.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, blocks: Sequence[S4DBlock], mean: bool, differentiable: bool,
        *values: Tensor,
    ) -> Tensor:
        y = u.new_empty((len(u), blocks[0].h)) if mean else torch.empty_like(u)
        training = blocks[0].training
        differentiable = differentiable and any(ctx.needs_input_grad)
        kept = _run(blocks, values, u, y, mean, training, training and differentiable)
        like = torch.empty_like(u, device="meta") if mean else y
        ctx.of = blocks, mean, like.shape, like.stride(), [value.shape for value in values]
        # PyTorch frees saved tensors after the last backward().
        if kept is not None:
            ctx.save_for_backward(kept)
        elif differentiable:
            # Evaluation computes as a deployed network does, and backward() once more, with what
            # the adjoint needs.
            ctx.save_for_backward(u, *values)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Any, ...]:
        blocks, mean, size, stride, shapes = ctx.of
        transposed = blocks[0].transposed
        kept, *others = ctx.saved_tensors
        if others:
            kept = _run(blocks, others, kept, torch.empty_like(kept), False, False, True)
        gy = gy.to(torch.float32)
        if mean:
            length = size[2 if transposed else 1]
            array = (gy / length).numpy()[..., None]
            array = np.broadcast_to(array, (*array.shape[:2], length))
        else:
            array = _array(gy, transposed)
        gu = torch.empty_strided(size, stride) if ctx.needs_input_grad[0] else None
        sizes = [shape.numel() for shape in shapes]
        found = torch.empty(sum(sizes))
        _core.Block.adjoint(
            kept.numpy(), array, None if gu is None else _array(gu, transposed), found.numpy(),
            torch.get_num_threads(),
        )
        gradients = [
            g if len(shape) == 1 else g.view(shape) for g, shape in zip(found.split(sizes), shapes)
        ]
        return gu, None, None, None, *gradients


class S4DBlock(nn.Module):
    """One block: recurrence, activation, linear layer, gate, residual sum, norm.

    Computed by the library in one pass over the data, with every value rounded as a network of the
    library rounds it: faster than :class:`S4D` with layers of PyTorch around it, and what a
    deployed network computes. Computes in float32.

    Parameters
    ----------
    d_model, d_state : int
        Channels, and states per channel.
    dropout : float
        Share of the channels of a sequence dropped in training.
    transposed : bool
        Whether sequences are [batch, d_model, length], else [batch, length, d_model].
    norm : {"layer", "none"}
        Behind the residual sum.
    format : str, optional
        Formats of all sites, as "w8a8s8" (``quant.preset``, docs/quantization.md); None: floats.
    model : dict, optional
        Further settings of section ``model``: ``{"activation": "hard-gelu"}``.
    **quant
        Settings of section ``quant``: ``state__residue_bits=4``, ``device_noise=0.02``.

    Notes
    -----
    Ranges start at those of :meth:`calibrate`, which comes before the first training step of a
    quantized block; activation ranges are parameters, trained as in the library.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 64,
        dropout: float = 0.0,
        transposed: bool = True,
        *,
        norm: str = "layer",
        format: str | None = None,
        model: dict[str, Any] | None = None,
        **quant: Any,
    ) -> None:
        super().__init__()
        self.h = d_model
        self.transposed = transposed
        self.format = format
        if format is None and quant:
            raise Error(f"{', '.join(quant)}: no effect without a format")
        shape = {"channels": d_model, "states": d_state, "dropout": dropout, "norm": norm}
        settings = settings_of("model", {**shape, **(model or {})})
        if format is not None:
            formats = {"preset": format, **quant}
            settings += settings_of("", {f"quant__{name}": v for name, v in formats.items()})
        self._settings = settings
        self._core = _core.Block(settings, int(torch.randint(2**31, ())))
        if format is not None:
            # The ranges exist from the start, so that optimizers know them.
            first = torch.randn(16, d_model, 64)
            self._core.calibrate(first.numpy(), torch.get_num_threads())
        self.calibrated = format is None
        self._names = []
        self._places: list[int] | None = None  # of the parameters that the core reads
        for name, size, values in self._core.parameters():
            own = name.replace("layers.0.", "").replace(".", "_")
            self._names.append(own)
            value = torch.from_numpy(np.array(values)).reshape(tuple(size))
            self.register_parameter(own, nn.Parameter(value))

    def options(self) -> dict[str, Any]:
        """Options of the block, as those of section ``model``."""
        options: dict[str, Any] = json.loads(self._core.options())
        return options

    def _values(self) -> list[Any]:
        try:
            return [self._parameters[name] for name in self._names]
        except KeyError:  # replaced, as by torch.nn.utils.parametrize
            return [getattr(self, name) for name in self._names]

    def _checked(self, u: Tensor) -> Tensor:
        if u.dtype is not torch.float32 or not u.is_cpu:
            require_cpu(u, "u")
            u = u.to(torch.float32)
        if u.dim() != 3:
            raise Error(f"u has {u.dim()} dimensions, expected 3")
        channels = u.shape[1 if self.transposed else 2]
        if channels != self.h:
            raise Error(f"u has {channels} channels, expected d_model = {self.h}")
        return u

    @torch.no_grad()
    def calibrate(self, u: Tensor) -> None:
        """Choose every range, and the steps of the states, for these inputs.

        Raises
        ------
        Error
            For inputs without values, and for those that :meth:`forward` refuses.
        """
        if self.format is None:
            return
        if u.numel() == 0:
            raise Error(f"u of shape {tuple(u.shape)} has no values, expected sequences")
        values = self._values()
        _bind([self], values)
        self._core.calibrate(_array(self._checked(u), self.transposed), torch.get_num_threads())
        for value, (_, _, chosen) in zip(values, self._core.parameters()):
            value.copy_(torch.from_numpy(np.array(chosen)).reshape(value.shape))
        self.calibrated = True

    @torch.compiler.disable
    def forward(self, u: Tensor) -> Tensor:
        """The block's output, shaped like u.

        Raises
        ------
        Error
            For another shape or device, and for formats without ranges (:meth:`calibrate`).
        """
        if not self.calibrated:
            raise Error("the formats are not calibrated, expected calibrate(u)")
        y: Tensor = _Blocks.apply(
            self._checked(u), (self,), False, torch.is_grad_enabled(), *self._values()
        )
        return y

    # --- state that is not of parameters: steps of states, and codes of ranges

    def get_extra_state(self) -> Tensor:
        content = self._core.to_bytes() if self.calibrated else b""
        return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(
            0, dtype=torch.uint8
        )

    def set_extra_state(self, state: Tensor) -> None:
        if state.numel() > 0:
            self._core.from_bytes(state.numpy().tobytes())
            self._places = None
            self.calibrated = True

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_core"] = self._core.to_bytes()
        state["_places"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        content = state.pop("_core")
        super().__setstate__(state)
        self._core = _core.Block(self._settings, 0)
        self._core.from_bytes(content)


class S4DBlocks(nn.Sequential):
    """Consecutive blocks as one function: what ``nn.Sequential`` of them computes.

    Faster with small blocks: values go from block to block in the layout of the library.
    Parameters have the names that they have in ``nn.Sequential``.

    Parameters
    ----------
    *blocks : S4DBlock
        With the same ``d_model`` and ``transposed``.
    mean : bool
        Whether the result is the mean over time, [batch, d_model], for a decoder behind it.

    Examples
    --------
    >>> blocks = S4DBlocks(*(S4DBlock(16, 16, transposed=False) for _ in range(2)), mean=True)
    >>> network = nn.Sequential(nn.Linear(1, 16), blocks, nn.Linear(16, 10))

    Notes
    -----
    Blocks with hooks, and blocks of which only some are in training, run one by one.
    """

    def __init__(self, *blocks: Any, mean: bool = False) -> None:
        super().__init__(*blocks)
        self.mean = mean
        if len(self) == 0:
            raise Error("S4DBlocks without blocks, expected at least one")
        for block in self:
            if not isinstance(block, S4DBlock):
                raise Error(f"S4DBlocks of {type(block).__name__}, expected S4DBlock")
            for name, attribute in (("d_model", "h"), ("transposed", "transposed")):
                value, first = getattr(block, attribute), getattr(self[0], attribute)
                if value != first:
                    raise Error(f"blocks with {name} = {first} and {value}, expected equal ones")
        self.transposed = self[0].transposed

    @torch.no_grad()
    def calibrate(self, u: Tensor) -> None:
        """Choose the ranges of every block in turn, for the outputs of those before it."""
        for block in self:
            block.calibrate(u)
            training = block.training
            u = block.eval()(u)
            block.train(training)

    @torch.compiler.disable
    def forward(self, u: Tensor) -> Tensor:
        """The output of the last block, shaped like u, or its mean over time.

        Raises
        ------
        Error
            As of :meth:`S4DBlock.forward`.
        """
        blocks = list(self)
        if not all(self._joins(block) for block in blocks):
            y = super().forward(u)
            return y.mean(-1 if self.transposed else -2) if self.mean else y
        if not all(block.calibrated for block in blocks):
            raise Error("the formats are not calibrated, expected calibrate(u)")
        values = [value for block in blocks for value in block._values()]
        y: Tensor = _Blocks.apply(
            blocks[0]._checked(u), blocks, self.mean, torch.is_grad_enabled(), *values
        )
        return y

    def _joins(self, block: nn.Module) -> bool:
        """Whether the block does no more than S4DBlock.forward, in the mode of the first one."""
        return (
            type(block).forward is S4DBlock.forward and block.transposed == self.transposed
            and block.training == self[0].training
            and not (block._forward_hooks or block._forward_pre_hooks or block._backward_hooks
                     or block._backward_pre_hooks or nn.modules.module._has_any_global_hook())
        )

    def extra_repr(self) -> str:
        return f"mean={self.mean}"
