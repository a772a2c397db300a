"""The whole block of the library as one function of PyTorch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from .. import _core
from .._core import Error
from .._settings import settings_of
from ._scan import require_cpu


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, module: S4DBlock, *values: Tensor) -> Tensor:
        y = torch.empty_like(u)
        seed, step = 0, 0
        if module.training:
            seed = int(torch.randint(2**31, ()))
        module._core.set([value.detach().numpy() for value in values])
        ctx.run = module._core.forward(
            u.detach().numpy(), y.numpy(), module.training, seed, step, torch.get_num_threads()
        )
        ctx.shapes = [value.shape for value in values]
        ctx.like = u
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Any, ...]:
        if ctx.run is None:
            raise Error("gradients in evaluation, expected module.train()")
        gu = torch.empty_like(ctx.like)
        found = _core.Block.adjoint(
            ctx.run, gy.to(torch.float32).numpy(), gu.numpy(), torch.get_num_threads()
        )
        gradients = [torch.from_numpy(g).reshape(s) for g, s in zip(found, ctx.shapes)]
        return gu, None, *gradients


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
        y: Tensor = _Block.apply(self._prepared(u), self, *self._values())
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
