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


def _run(
    blocks: Sequence[S4DBlock], values: Sequence[Tensor], u: Tensor, y: Tensor, mean: bool,
    training: bool, keep: bool,
) -> list[Any]:
    """Write y; returns what the adjoint needs, if it is to be kept."""
    arrays = [value.detach().numpy() for value in values]
    seeds = []
    for block in blocks:
        count = len(block._names)
        block._core.set(arrays[:count])
        arrays = arrays[count:]
        seeds.append(int(torch.randint(2**31, ())) if training else 0)
    cores = [block._core for block in blocks]
    runs: list[Any] = _core.Block.forward(
        cores, u.detach().numpy(), y.numpy(), mean, training, keep, seeds, torch.get_num_threads()
    )
    return runs


class _Blocks(torch.autograd.Function):
    """Consecutive blocks, [batch, channels, length]; with `mean`, the mean over time."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, blocks: Sequence[S4DBlock], mean: bool, differentiable: bool,
        *values: Tensor,
    ) -> Tensor:
        y = u.new_empty(u.shape[:2] + (1,)) if mean else torch.empty_like(u)
        training = blocks[0].training
        differentiable = differentiable and any(ctx.needs_input_grad)
        ctx.runs = _run(blocks, values, u, y, mean, training, training and differentiable)
        ctx.blocks = blocks
        ctx.shapes = [value.shape for value in values]
        ctx.like = u
        ctx.mean = mean
        if differentiable and not training:
            # Evaluation computes as a deployed network does, and backward() once more, with what
            # the adjoint needs.
            ctx.save_for_backward(u, *values)
        return y[..., 0] if mean else y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Any, ...]:
        runs = ctx.runs
        if not runs:
            u, *values = ctx.saved_tensors
            runs = _run(ctx.blocks, values, u, torch.empty_like(u), False, False, True)
        gy = gy.to(torch.float32)
        if ctx.mean:
            length = ctx.like.shape[2]
            gy = (gy / length).unsqueeze(-1).expand(-1, -1, length)
        gu = torch.empty_like(ctx.like) if ctx.needs_input_grad[0] else None
        sizes = [shape.numel() for shape in ctx.shapes]
        found = torch.empty(sum(sizes))
        _core.Block.adjoint(
            runs, gy.numpy(), None if gu is None else gu.numpy(), found.numpy(),
            torch.get_num_threads(),
        )
        gradients = [g.view(shape) for g, shape in zip(found.split(sizes), ctx.shapes)]
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
        for name, size, values in self._core.parameters():
            own = name.replace("layers.0.", "").replace(".", "_")
            self._names.append(own)
            value = torch.from_numpy(np.array(values)).reshape(tuple(size))
            self.register_parameter(own, nn.Parameter(value))

    def options(self) -> dict[str, Any]:
        """Options of the block, as those of section ``model``."""
        options: dict[str, Any] = json.loads(self._core.options())
        return options

    def _values(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._names]

    def _prepared(self, u: Tensor) -> Tensor:
        require_cpu(u, "u")
        require_float32(self.D)
        if u.dim() != 3:
            raise Error(f"u has {u.dim()} dimensions, expected 3")
        if not self.transposed:
            u = u.transpose(-1, -2)
        if u.shape[1] != self.h:
            raise Error(f"u has {u.shape[1]} channels, expected d_model = {self.h}")
        return u.to(torch.float32)

    @torch.no_grad()
    def calibrate(self, u: Tensor) -> None:
        """Choose every range, and the steps of the states, for these inputs."""
        if self.format is None:
            return
        self._core.set([value.detach().numpy() for value in self._values()])
        self._core.calibrate(self._prepared(u).detach().numpy(), torch.get_num_threads())
        for value, (_, _, chosen) in zip(self._values(), self._core.parameters()):
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
        differentiable = torch.is_grad_enabled()
        y: Tensor = _Blocks.apply(
            self._prepared(u), (self,), False, differentiable, *self._values()
        )
        return y if self.transposed else y.transpose(-1, -2)

    # --- state that is not of parameters: steps of states, and codes of ranges

    def get_extra_state(self) -> Tensor:
        content = self._core.to_bytes() if self.calibrated else b""
        return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(
            0, dtype=torch.uint8
        )

    def set_extra_state(self, state: Tensor) -> None:
        if state.numel() > 0:
            self._core.from_bytes(state.numpy().tobytes())
            self.calibrated = True

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_core"] = self._core.to_bytes()
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
        first = blocks[0]
        if not all(self._joins(block) for block in blocks):
            y = super().forward(u)
            return y.mean(-1 if self.transposed else -2) if self.mean else y
        if not all(block.calibrated for block in blocks):
            raise Error("the formats are not calibrated, expected calibrate(u)")
        values = [value for block in blocks for value in block._values()]
        differentiable = torch.is_grad_enabled()
        y = _Blocks.apply(first._prepared(u), blocks, self.mean, differentiable, *values)
        return y if self.mean or self.transposed else y.transpose(-1, -2)

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
