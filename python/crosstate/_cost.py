"""Memory, operations, energy, latency and area of models on hardware."""

from __future__ import annotations

import json
from typing import Any

from . import _core
from ._model import Description, Model
from ._settings import count_of, settings_of, whole


def technologies() -> list[str]:
    """Hardware with cost constants that comes with the package."""
    return list(_core.technologies())


def cost(
    model: Model, *, steps: int, target: str = "accelerator-45nm", **settings: object
) -> Description:
    """Price a model on hardware (docs/cost.md).

    Parameters
    ----------
    steps
        Time steps per inference.
    target
        One of :func:`technologies`, or a TOML file.
    **settings
        Settings of section ``crossbar`` for crossbars: ``packing``, ``driven``, ...

    Returns
    -------
    dict
        ``memory_bytes``, ``memory_sites``, ``peak_ram_bytes``, ``operations``, ``neurobench``, and
        ``estimate`` with energy in pJ, latency in ns and area in mm2, each by part and as a range.

    Raises
    ------
    Error
        For an unknown target, and for a float model on hardware without floating-point units.
    """
    core, steps = model._fitted(), count_of("steps", steps)
    result: dict[str, Any] = json.loads(_core.count(core, steps))
    result["estimate"] = json.loads(
        _core.price(core, target, steps, settings_of("crossbar", settings))
    )
    return Description(result)


def peers(model: Model, *, steps: int, bits: int = 32) -> list[dict[str, Any]]:
    """LSTM, GRU and transformer with at most as many parameters: counts per inference of ``steps``
    steps, ready for ``pandas.DataFrame``."""
    steps = count_of("steps", steps)
    weights = json.loads(_core.count(model._fitted(), steps))["weights_and_biases"]
    found: list[dict[str, Any]] = json.loads(
        _core.peers(weights, model.inputs, len(model.classes), steps, whole("bits", bits, 1, 64))
    )
    return found
