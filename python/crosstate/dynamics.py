"""Poles and states of the recurrences of a model, for inspection and plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._arguments import Index, checked
from ._data import as_sequences
from ._model import Model

__all__ = ["poles", "states"]

Complex = npt.NDArray[np.complex128]


def _by_channel(values: Complex, first: npt.NDArray[np.int64]) -> Any:
    """[..., modes of all channels] as [..., channels, modes], or one array per channel."""
    counts = np.diff(first)
    if len(set(counts.tolist())) == 1:
        return values.reshape(*values.shape[:-1], len(counts), counts[0])
    return np.split(values, first[1:-1], axis=-1)


@checked
def poles(model: Model, *, rounded: bool = False) -> list[Any]:
    """Return the poles of the discretised recurrences.

    Parameters
    ----------
    model
        A float or quantized model, not an integer network.
    rounded
        Of a quantized model: the poles as their codes represent them, instead of those that were
        trained.

    Returns
    -------
    list of array
        For each layer complex [channels, modes]; for a pruned layer, whose channels have different
        numbers of modes, a list of arrays [modes]. Poles of conjugate pairs are listed once.

    Raises
    ------
    Error
        For an integer network, and with ``rounded`` for a float network.

    Notes
    -----
    Zero-order hold or bilinear rule of S4D, arXiv 2206.11893, section 3.
    """
    return [_by_channel(*layer) for layer in _core.poles(model._fitted(), rounded)]


@checked
def states(model: Model, x: npt.ArrayLike, *, layer: Index = 0) -> Any:
    """Return the states of a layer while the float network processes a sequence.

    Parameters
    ----------
    model
        A float or quantized model, not an integer network. Nothing is rounded.
    x
        One sequence, [time, channels], or [time] with one channel.
    layer
        Index of the layer, from 0.

    Returns
    -------
    array
        Complex [time, channels, modes]; for a pruned layer a list of arrays [time, modes]. Computed
        by the plain specification in double precision, which is slow for long sequences.

    Raises
    ------
    Error
        For a sequence that does not fit the model, a layer that it does not have, and an integer
        network.
    """
    array, _ = as_sequences([x], "x")
    if array.shape[2] != model.inputs:
        raise _core.Error(f"x has {array.shape[2]} channels, expected {model.inputs}")
    layers = len(model.describe()["layers"])
    if layer >= layers:
        raise _core.Error(f"layer = {layer}, expected 0 to {layers - 1}")
    return _by_channel(*_core.states(model._fitted(), array[0], layer))
