"""Training as the library trains: order of the batches, optimizer, schedule of the rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from .. import _core
from .._core import Error
from ._block import S4DBlock
from ._layer import S4D, ActivationQuantizer, S4DKernel


def training_order(
    count: int, batch: int = 64, *, seed: int = 1, epoch: int = 0,
    lengths: Sequence[int] | None = None,
) -> Tensor:
    """The order in which an epoch of ``Model.fit(..., seed=seed, batch=batch)`` takes sequences.

    Parameters
    ----------
    count : int
        Training sequences, without those that ``fit`` holds out (``train.validation``).
    batch : int
        Sequences per step.
    seed, epoch : int
        Of the run, and the epoch from 0.
    lengths : sequence of int, optional
        Of the sequences, if they differ: those of similar length share a batch.

    Returns
    -------
    Tensor [count], int64
        Indices; batch k has those from ``k * batch`` on.
    """
    if batch < 1:
        raise Error(f"batch = {batch}, expected at least 1")
    if lengths is not None and len(lengths) != count:
        raise Error(f"{len(lengths)} lengths for {count} sequences")
    order = _core.training_order(
        count, [] if lengths is None else [int(n) for n in lengths], batch, seed, epoch
    )
    return torch.from_numpy(order)


def batches(
    x: Any, y: Any, batch: int = 64, *, seed: int = 1, epoch: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch of ``Model.fit(x, y, seed=seed, batch=batch, validation=0)``.

    Parameters
    ----------
    x, y : Tensor or array
        Sequences of one length, and targets; the first dimension is that of sequences.
    batch, seed, epoch
        As of :func:`training_order`.
    """
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    if len(x) != len(y):
        raise Error(f"{len(x)} sequences and {len(y)} targets, expected as many")
    for chosen in training_order(len(x), batch, seed=seed, epoch=epoch).split(batch):
        yield x[chosen], y[chosen]


def parameter_groups(
    module: nn.Module,
    *,
    learning_rate: float = 0.01,
    recurrence_rate: float = 0.001,
    range_rate: float = 0.001,
    weight_decay: float = 0.01,
) -> list[dict[str, Any]]:
    """The parameters of a network in groups for an optimizer, as the library trains them.

    Parameters of recurrences (step sizes and poles) have a lower rate and no weight decay; so have
    the scales of activations. Biases and norms have no decay.

    Parameters
    ----------
    module
        A network with :class:`S4D` or :class:`S4DBlock`, and other layers.
    learning_rate, recurrence_rate, range_rate, weight_decay
        Settings of section ``train``, with their defaults.
    """
    kinds: dict[int, str] = {}
    for one in module.modules():
        for name, value in one.named_parameters(recurse=False):
            if isinstance(one, ActivationQuantizer):
                kind = "range"
            elif isinstance(one, S4DKernel):
                kind = "weight" if name == "C" else "recurrence"
            elif isinstance(one, S4D):
                kind = "weight"
            elif isinstance(one, S4DBlock):
                if name in ("log_dt", "log_a", "w", "B"):
                    kind = "recurrence"
                elif name.startswith(("range_", "scale_")):
                    kind = "range"
                else:
                    kind = "weight" if name in ("C", "D", "linear_weight") else "other"
            else:
                kind = "weight" if value.dim() > 1 else "other"
            kinds[id(value)] = kind
    rules = {
        "weight": (learning_rate, weight_decay), "other": (learning_rate, 0.0),
        "recurrence": (recurrence_rate, 0.0), "range": (range_rate, 0.0),
    }
    groups = []
    for kind, (rate, decay) in rules.items():
        chosen = [value for value in module.parameters() if kinds[id(value)] == kind]
        if chosen:
            groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups


def schedule(
    optimizer: torch.optim.Optimizer, steps: int, *, warmup: int = 0, final_rate: float = 0.0
) -> torch.optim.lr_scheduler.LambdaLR:
    """Learning rates of every step: linear warm-up, then half a cosine, as of the library.

    Parameters
    ----------
    optimizer
        Its rates are the peaks.
    steps : int
        Of the whole training; call ``step()`` after each.
    warmup : int
        Steps until the peak, at most half of all (``train.warmup`` is in epochs).
    final_rate : float
        Share of the peak at the end.
    """
    rise = min(warmup, steps // 2)

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        if step >= steps:
            return final_rate
        progress = (step - rise) / (steps - rise)
        return final_rate + (1 - final_rate) * 0.5 * (1 + math.cos(math.pi * progress))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)
