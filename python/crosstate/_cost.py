"""Memory, operations, energy, latency and area of models on hardware."""

from __future__ import annotations

import json
from typing import Annotated, Any

from . import _core
from ._arguments import Count, Path_, checked, path_text, within
from ._model import Description, Model
from ._settings import settings_of

Bits = Annotated[int, within(1, 64)]


def technologies() -> list[str]:
    """Hardware with cost constants that comes with the package."""
    return list(_core.technologies())


@checked
def cost(
    model: Model,
    *,
    steps: Count,
    target: Path_ = "accelerator-45nm",
    same_node: bool = False,
    rate: float = 0.0,
    **settings: object,
) -> Description:
    """Price a model on hardware (docs/cost.md).

    Parameters
    ----------
    steps
        Time steps per inference.
    target
        One of :func:`technologies`, or a TOML file.
    same_node
        Also price the model on a digital accelerator at the node of the crossbars.
    rate
        Time steps per second, at which crossbars and that accelerator rest between steps; 0: at
        full rate.
    **settings
        Settings of section ``cost`` that decide an estimate: ``idle``, ``idle_cells``, ``blocks``,
        ``state_converters``, ``converter``, ``weights``, ``rows``, ``columns``, ``converter_bits``;
        and settings of section ``crossbar``:
        ``packing``, ``driven``, ``compensation``, ...

    Returns
    -------
    dict
        ``memory_bytes``, ``memory_sites``, ``peak_ram_bytes``, ``operations``, ``neurobench``, and
        ``estimate`` with energy in pJ, latency in ns and area in mm2, each by part and as a range;
        with ``same_node`` or ``rate`` also ``same_node``, with the accelerator's estimates, the
        ratios and the break-even rates (None: at every rate).

    Raises
    ------
    Error
        For an unknown target, and for a float model on hardware without floating-point units.
    """
    core = model._fitted()
    if not rate >= 0:
        raise _core.Error(f"rate = {rate}, expected 0 or more time steps per second")
    result: dict[str, Any] = json.loads(_core.count(core, steps))
    of_cost = {key.removeprefix("cost.") for key in _core.estimate_settings()}
    chosen = settings_of("cost", {k: v for k, v in settings.items() if k in of_cost})
    chosen += settings_of("crossbar", {k: v for k, v in settings.items() if k not in of_cost})
    result.update(
        json.loads(_core.price(core, path_text(target), steps, chosen, same_node, rate))
    )
    return Description(result)


@checked
def peers(model: Model, *, steps: Count, bits: Bits = 32) -> list[dict[str, Any]]:
    """LSTM, GRU and transformer with at most as many parameters: counts per inference of ``steps``
    steps, ready for ``pandas.DataFrame``."""
    weights = json.loads(_core.count(model._fitted(), steps))["weights_and_biases"]
    found: list[dict[str, Any]] = json.loads(
        _core.peers(weights, model.inputs, len(model.classes), steps, bits)
    )
    return found
