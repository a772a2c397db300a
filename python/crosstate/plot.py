"""Plots with matplotlib (``pip install crosstate[plot]``).

Every function draws into the axes ``ax`` (by default new ones) and returns them, so that titles,
limits and colours can be changed afterwards. What is drawn may come from Python (histories, lists
of records) or from the program: JSON results such as ``summary.json``, ``simulate.json``,
``cost.json`` and ``deploy.json``, as a dictionary or as a path.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

try:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
except ImportError as error:  # pragma: no cover
    raise ImportError("crosstate.plot needs matplotlib: pip install 'crosstate[plot]'") from error

from ._arguments import checked, path_text, shown
from ._core import Error

__all__ = [
    "learning_curves",
    "against_age",
    "against_noise",
    "front",
    "arrays",
    "energy",
    "rate",
    "poles",
    "states",
]

Record = Mapping[str, Any]
Source = Union[str, "os.PathLike[str]", Record]

_SITES = {  # colours of the picture that `crosstate deploy` writes
    "encoder": "#0a7d5a",
    "recurrence": "#2457a6",
    "pointwise layer": "#b3541e",
    "decoder": "#7a3c8f",
}


def _loaded(source: Any) -> Any:
    if isinstance(source, (str, bytes, os.PathLike)):
        return json.loads(Path(path_text(source)).read_text())
    return source


def _records(source: Any) -> list[Record]:
    """A list of records from a list or from a table with columns (a DataFrame)."""
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return list(source.to_dict("records"))
    if not isinstance(source, Iterable):
        raise Error(f"cannot draw {shown(source)}, expected records or results")
    records = list(source)
    for number, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise Error(f"record {number} is {shown(record)}, expected a dictionary")
    return records


def _result(source: Any, where: str, *keys: str) -> Any:
    """The result at a path, or the result itself. It has these keys."""
    loaded = _loaded(source)
    if not isinstance(loaded, Mapping) or not set(keys) <= loaded.keys():
        raise Error(f"{where}: cannot draw {shown(loaded)}, expected a result with "
                    f"{' and '.join(keys)}")
    return loaded


def _complex(values: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=complex)
    except (TypeError, ValueError):
        raise Error(f"{where}: cannot draw {shown(values)}, expected numbers") from None


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def _is_share(metric: str) -> bool:
    return metric.endswith("accuracy") or metric.endswith("f1")


def _metric_axis(ax: Axes, metric: str) -> None:
    ax.set_ylabel(metric.replace("_", " ") + (" (%)" if _is_share(metric) else ""))


def _shown(metric: str, values: Iterable[float]) -> np.ndarray:
    return np.asarray(list(values), dtype=float) * (100 if _is_share(metric) else 1)


def _numbers(records: Sequence[Record], key: str, where: str) -> list[float]:
    for record in records:
        if key not in record:
            raise ValueError(f"{where}: no {key!r} in a record, it has {', '.join(record)}")
    return [math.nan if record[key] is None else float(record[key]) for record in records]


@checked
def learning_curves(history: Any, metric: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw a metric of training and validation against epochs.

    Parameters
    ----------
    history : Model, list of dict, dict, or path
        A model after ``fit``, its ``history``, or the result of ``train`` or its ``summary.json``:
        stages are drawn one after the other.
    metric : str, optional
        "loss", "accuracy", ...; by default the metric of the task.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are no epochs, or the records lack the metric.
    """
    history = _loaded(history)
    if isinstance(history, Mapping):
        stages = [(name, history[name].get("history", []))
                  for name in ("float", "pruned", "qat") if name in history]
    else:
        stages = [("", _records(getattr(history, "history", history)))]
    stages = [(name, epochs) for name, epochs in stages if epochs]
    if not stages:
        raise ValueError("learning_curves: no epochs to draw")
    if metric is None:
        first = stages[0][1][0]
        metric = next((key.removeprefix("train_") for key in first
                       if key.startswith("train_") and key != "train_loss"), "loss")
    ax = _axes(ax)
    before = 0
    for number, (name, epochs) in enumerate(stages):
        x = before + 1 + np.arange(len(epochs))
        before += len(epochs)
        label = f"{name}, " if name else ""
        for part, style in (("train", "--"), ("validation", "-")):
            y = _shown(metric, _numbers(epochs, f"{part}_{metric}", "learning_curves"))
            if not np.all(np.isnan(y)):
                ax.plot(x, y, style, marker=".", color=f"C{number}", label=f"{label}{part}")
    ax.set_xlabel("epoch")
    _metric_axis(ax, metric)
    ax.legend()
    return ax


def _grouped(x: Sequence[float], y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, means and standard deviations of the values at each place."""
    places = np.unique(np.asarray(x))
    values = [y[np.asarray(x) == place] for place in places]
    spread = [np.std(v, ddof=1) if len(v) > 1 else 0.0 for v in values]
    return places, np.array([np.mean(v) for v in values]), np.array(spread)


def _metric_of(record: Record, where: str, but: set[str]) -> str:
    for key, value in record.items():
        if key not in but and isinstance(value, (int, float)) and not isinstance(value, bool):
            return key
    raise ValueError(f"{where}: no metric in a record, it has {', '.join(record)}")


@checked
def against_age(chips: Any, metric: str | None = None, *, label: str | None = None,
                ax: Axes | None = None) -> Axes:
    """Draw a metric of simulated chips against their age.

    Parameters
    ----------
    chips : list of dict, DataFrame, dict, or path
        Records of chips as ``simulate`` returns them, with a key ``seconds``, or a
        ``simulate.json``.
    metric : str, optional
        By default the metric of the task.
    label : str, optional
        Name of the curve in the legend.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Mean over chips with the standard deviation as error bars and the worst chip dotted. The
        axis of ages is logarithmic above one second and has room for age 0.
    """
    chips = _loaded(chips)
    if isinstance(chips, Mapping):
        if "ages" not in chips:
            raise ValueError("against_age: no 'ages' in the result, expected one of simulate")
        name = metric or next(k.removesuffix("_mean") for k in chips["ages"][0]
                              if k.endswith("_mean"))
        records: list[Record] = [{"seconds": age["seconds_since_programming"], name: value}
                                 for age in chips["ages"] for value in age[name]]
    else:
        records = _records(chips)
    if not records:
        raise ValueError("against_age: no chips to draw")
    metric = metric or _metric_of(records[0], "against_age", {"chip", "seconds"})
    ages = _numbers(records, "seconds", "against_age")
    values = _shown(metric, _numbers(records, metric, "against_age"))
    ax = _axes(ax)
    places, mean, spread = _grouped(ages, values)
    line = ax.errorbar(places, mean, spread, marker="o", capsize=3, label=label or "mean")
    worst = [values[np.asarray(ages) == place].min() for place in places]
    ax.plot(places, worst, ":", color=line[0].get_color(),
            label=f"{label}, worst chip" if label else "worst chip")
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xlim(left=-0.2)
    ax.set_xlabel("time since programming (s)")
    _metric_axis(ax, metric)
    ax.legend()
    return ax


@checked
def against_noise(points: Any, metric: str | None = None, *, label: str | None = None,
                  ax: Axes | None = None) -> Axes:
    """Draw a metric of simulated chips against the programming noise of their cells.

    Parameters
    ----------
    points : list of dict, DataFrame, dict, or path
        Records with a key ``noise`` (share of the target conductance), or a ``summary.json`` of
        ``crosstate demo`` or ``train`` with chips.
    metric : str, optional
        By default the metric of the task.
    label : str, optional
        Name of the curve in the legend.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    points = _loaded(points)
    if isinstance(points, Mapping):
        sweep = points.get("crossbar", {}).get("sweep", [])
        if not sweep:
            raise ValueError("against_noise: no sweep of noise in the result, expected one of "
                             "demo, or of train with run.crossbar = true")
        ax = _axes(ax)
        for stage, name in (("ptq", "post-training quantization"),
                            ("qat", "quantization-aware training")):
            found = [(point["noise"], point[stage]) for point in sweep if stage in point]
            if not found:
                continue
            metric = metric or next(k.removesuffix("_mean") for k in found[0][1]
                                    if k.endswith("_mean"))
            ax.errorbar([100 * noise for noise, _ in found],
                        _shown(metric, (r[f"{metric}_mean"] for _, r in found)),
                        _shown(metric, (r[f"{metric}_std"] for _, r in found)),
                        marker="o", capsize=3, label=name)
    else:
        records = _records(points)
        if not records:
            raise ValueError("against_noise: no points to draw")
        metric = metric or _metric_of(records[0], "against_noise", {"chip", "seconds", "noise"})
        noise = _numbers(records, "noise", "against_noise")
        values = _shown(metric, _numbers(records, metric, "against_noise"))
        places, mean, spread = _grouped(noise, values)
        ax = _axes(ax)
        ax.errorbar(100 * places, mean, spread, marker="o", capsize=3, label=label or "mean")
    ax.set_xlabel("programming noise (% of the target conductance)")
    _metric_axis(ax, metric or "")
    ax.legend()
    return ax


@checked
def front(points: Any, x: str = "bytes", y: str = "accuracy", *, label: str | None = None,
          ax: Axes | None = None) -> Axes:
    """Draw the points of a sweep and the front of the best of them.

    Parameters
    ----------
    points : list of dict or DataFrame
        The points of a sweep: ``sweep_records`` or ``read_sweep``. Points without one of the values, such
        as failed ones, are left out.
    x, y : str
        Keys of what is paid, where less is better, and of what is gained, where more is better.
    label : str, optional
        Name of the front in the legend.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    records = [r for r in _records(points) if r.get(x) is not None and r.get(y) is not None]
    pairs = np.array([(float(r[x]), float(r[y])) for r in records]).reshape(-1, 2)
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    if len(pairs) == 0:
        raise ValueError(f"front: no point has both {x!r} and {y!r}")
    scale = 100 if _is_share(y) else 1
    order = np.lexsort((-pairs[:, 1], pairs[:, 0]))
    best: list[np.ndarray] = []
    for pair in pairs[order]:
        if not best or pair[1] > best[-1][1]:
            best.append(pair)
    ax = _axes(ax)
    scattered = ax.scatter(pairs[:, 0], scale * pairs[:, 1], s=12, alpha=0.5)
    line = np.array(best)
    ax.step(line[:, 0], scale * line[:, 1], where="post", color=scattered.get_facecolor()[0],
            alpha=1, label=label or "front")
    ax.set_xlabel(x.replace("_", " "))
    _metric_axis(ax, y)
    ax.legend()
    return ax


@checked
def arrays(mapping: Source, *, size: tuple[int, int] | None = None, across: int = 6) -> Figure:
    """Draw what the arrays of a mapping hold.

    Parameters
    ----------
    mapping : dict or path
        Result of ``crosstate.map_model`` or a ``deploy.json``. Blocks of recurrences are drawn
        piece by piece where the mapping lists them.
    size : tuple of int, optional
        Rows and columns of an array; by default those of the file's settings, or the most that an
        array uses.
    across : int
        Arrays per line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    loaded = _result(mapping, "arrays", "arrays")
    placed = loaded["arrays"]
    if size is None:
        settings = loaded.get("config", {}).get("crossbar", {})
        size = (settings.get("rows") or max(a["rows"] for a in placed),
                settings.get("columns") or max(a["columns"] for a in placed))
    lines = -(-len(placed) // across)
    figure, grid = plt.subplots(lines, min(across, len(placed)), squeeze=False,
                                figsize=(2 * min(across, len(placed)), 2.2 * lines),
                                layout="constrained")
    for ax in grid.flat[len(placed):]:
        ax.remove()
    for number, (ax, array) in enumerate(zip(grid.flat, placed)):
        colour = _SITES.get(array["site"], "0.5")
        for top, left, high, wide in _blocks(array):
            ax.add_patch(Rectangle((left, top), wide, high, color=colour))
        ax.set(xlim=(0, size[1]), ylim=(size[0], 0), xticks=[], yticks=[], aspect="equal")
        layer = f" {array['layer']}" if array["site"] in ("recurrence", "pointwise layer") else ""
        ax.set_title(f"{number}: {array['site']}{layer}", fontsize="x-small")
    return figure


def _blocks(array: Record) -> list[tuple[int, int, int, int]]:
    """First row, first column, rows and columns of the parts in use."""
    pieces = array.get("pieces")
    if not pieces:
        return [(0, 0, array["rows"], array["columns"])]
    states, inputs = array["states"], array.get("input_rows", len(pieces))
    columns = array.get("state_columns", states)
    blocks = []
    for number, piece in enumerate(pieces):
        following = pieces[number + 1]["first_state"] if number + 1 < len(pieces) else states
        first, count = piece["first_state"], following - piece["first_state"]
        row = inputs + first
        if columns > 0:
            blocks += [(number, first, 1, count),           # B, driven by the input
                       (row, first, count, count)]          # A
        if array.get("output_columns", len(pieces)) > 0:
            blocks.append((row, columns + number, count, 1))  # C
    return blocks


@checked
def energy(costs: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the energy of an inference by part, with the range of each estimate.

    Parameters
    ----------
    costs : dict, list of dict, or path
        Results of ``crosstate.cost``, one bar each, or a ``cost.json``: one bar per target and
        model.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Bars from their parts; the error bars span the low and the high estimate of the sum.
    """
    loaded = _loaded(costs)
    if isinstance(loaded, Mapping) and "targets" in loaded:
        estimates = [e for target in loaded["targets"] for e in target["estimates"]]
        several = len(loaded["models"]) > 1
        names = [f"{e['target']}\n{Path(e['model']).name}" if several else e["target"]
                 for e in estimates]
    else:
        results = _records([loaded] if isinstance(loaded, Mapping) else loaded)
        estimates = [_result(result, "energy", "estimate")["estimate"] for result in results]
        names = [e["target"] for e in estimates]
    if not estimates:
        raise ValueError("energy: no costs to draw")
    ax = _axes(ax)
    energies = [e["energy_pj"] for e in estimates]
    parts = list(dict.fromkeys(part for e in energies for part in e["parts"]))
    places = np.arange(len(names))
    bottom = np.zeros(len(names))
    for part in parts:
        height = np.array([e["parts"].get(part, {}).get("typical", 0) for e in energies]) / 1e6
        ax.bar(places, height, bottom=bottom, label=part)
        bottom += height
    total = [e["per_inference"] for e in energies]
    ax.errorbar(places, [t["typical"] / 1e6 for t in total],
                [[(t["typical"] - t["low"]) / 1e6 for t in total],
                 [(t["high"] - t["typical"]) / 1e6 for t in total]],
                fmt="none", ecolor="black", capsize=4)
    ax.set_xticks(places, names, rotation=20)
    ax.set_ylabel("energy of an inference (uJ)")
    ax.legend()
    return ax


@checked
def rate(cost: Mapping[str, Any], *, ax: Axes | None = None) -> Axes:
    """Draw the energy of a time step against the number of steps per second.

    Parameters
    ----------
    cost : dict
        Result of ``crosstate.cost(..., same_node=True)``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Crossbars, and digital accelerators at the same node with weights in SRAM and in
        non-volatile memory, up to the highest rate of each; a vertical line at the rate below which
        crossbars take less than SRAM.
    """
    if "same_node" not in cost:
        raise ValueError("rate: the cost has no same_node, expected same_node=True or a rate")
    digital = cost["same_node"]
    ax = _axes(ax)
    lines = {"crossbars": cost["estimate"], "digital, SRAM": digital["sram"],
             "digital, non-volatile weights": digital["nonvolatile"]}
    for name, e in lines.items():
        seconds = e["latency_ns"]["per_step"]["typical"] * 1e-9
        rates = np.logspace(-1, np.log10(1 / seconds), 50)
        rest = e["rest_uw"]["typical"] * 1e6 * np.maximum(1 / rates - seconds, 0)  # pJ
        step = e["energy_pj"]["per_step"]["typical"] + e["wake_pj"]["typical"]
        ax.loglog(rates, (step + rest) / 1e3, label=name)
    even = digital["break_even_rate"]["sram"]["typical"]
    if even:
        ax.axvline(even, color="gray", linestyle="--")
    ax.set_xlabel("time steps per second")
    ax.set_ylabel("energy of a step (nJ)")
    ax.legend()
    return ax


def _flat(layer: Any) -> np.ndarray:
    """Poles of a layer, whose channels may have different numbers of them."""
    if isinstance(layer, (list, tuple)):
        return np.concatenate([np.ravel(_complex(channel, "poles")) for channel in layer])
    return np.ravel(_complex(layer, "poles"))


@checked
def poles(before: Any, after: Any = None, *, ax: Axes | None = None) -> Axes:
    """Draw the poles of recurrences in the unit circle, before and after rounding.

    Parameters
    ----------
    before : array_like of complex, or list of such arrays
        Poles of the discretised recurrences, of any shape; one array per layer if it is a list, as
        ``crosstate.dynamics.poles`` returns them.
    after : array_like of complex, or list of such arrays, optional
        The same poles after rounding, as codes represent them: drawn as crosses, connected with
        the poles that they replace.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    layers = before if isinstance(before, (list, tuple)) else [before]
    rounded = after if isinstance(after, (list, tuple)) else [after] * (after is not None)
    if after is not None and len(rounded) != len(layers):
        raise ValueError(f"poles: {len(layers)} layers before rounding, {len(rounded)} after")
    ax = _axes(ax)
    turn = np.exp(2j * np.pi * np.linspace(0, 1, 361))
    ax.plot(turn.real, turn.imag, color="0.7", lw=1)
    for number, layer in enumerate(layers):
        z = _flat(layer)
        label = f"layer {number}" if len(layers) > 1 else "poles"
        ax.plot(z.real, z.imag, "o", ms=4, mfc="none", color=f"C{number}", label=label)
        if after is None:
            continue
        w = _flat(rounded[number])
        if w.shape != z.shape:
            raise ValueError(f"poles: layer {number} has {z.size} poles before rounding, "
                             f"{w.size} after")
        ax.plot([z.real, w.real], [z.imag, w.imag], color=f"C{number}", lw=0.5)
        ax.plot(w.real, w.imag, "x", ms=4, color=f"C{number}", label=f"{label}, rounded")
    ax.set_aspect("equal")
    ax.set(xlabel="real part", ylabel="imaginary part")
    ax.legend(fontsize="small")
    return ax


@checked
def states(trajectories: Any, *, labels: Sequence[str] | None = None,
           ax: Axes | None = None) -> Axes:
    """Draw states of a recurrence against time steps.

    Parameters
    ----------
    trajectories : array_like
        States, [time] or [time, modes], real or complex, such as those of one channel of
        ``crosstate.dynamics.states``; of complex states the imaginary part is drawn dashed.
    labels : sequence of str, optional
        Names of the modes; by default their numbers.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    x = np.asarray(trajectories)
    x = x if x.dtype.kind in "fiub" else _complex(x, "states")
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2:
        raise ValueError(f"states: an array of {x.ndim} dimensions, expected [time, modes]")
    if labels is not None and len(labels) != x.shape[1]:
        raise ValueError(f"states: {len(labels)} labels of {x.shape[1]} modes")
    ax = _axes(ax)
    for mode in range(x.shape[1]):
        label = labels[mode] if labels is not None else f"mode {mode}"
        (line,) = ax.plot(x[:, mode].real, label=label)
        if np.iscomplexobj(x):
            ax.plot(x[:, mode].imag, "--", color=line.get_color())
    ax.set(xlabel="time step", ylabel="state")
    ax.legend(fontsize="small")
    return ax
