"""Chips: devices, arrays with wires, mapping, and the accuracy of networks on them."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import numpy.typing as npt

from . import _core
from ._arguments import Count, Index, Path_, Seed, Threads, checked, path_text, within
from ._core import Error
from ._data import _numbers
from ._model import DataLike, Description, Model
from ._progress import Bar
from ._runs import earlier
from ._settings import Settings, settings_of

Doubles = npt.NDArray[np.float64]
#: Targets at which a device is asked for its statistics.
Points = Annotated[int, within(2, 10**6)]


def _doubles(values: Any, name: str, dimensions: int) -> Doubles:
    # A copy: callers may change theirs.
    array = np.array(_numbers(values, name), np.float64, order="C", ndmin=1)
    if array.ndim != dimensions and dimensions > 0:
        raise Error(f"{name} has {array.ndim} dimensions, expected {dimensions}")
    if array.size == 0:
        raise Error(f"{name} has no values, expected at least one")
    if not np.isfinite(array).all():
        raise Error(f"{name} has a value that is not finite")
    return array


# --- devices


def device_models() -> list[dict[str, Any]]:
    """The device models with their papers, times and conductance ranges in uS."""
    models: list[dict[str, Any]] = json.loads(_core.device_models())
    return models


class Cells:
    """Programmed cells, which age. Made by :meth:`Device.program`.

    A cell has the same draws whenever it is looked at: :meth:`at` a time returns the same
    conductances in whatever order times are asked for.
    """

    def __init__(self, device: Device, targets: Doubles, seed: int, number: int,
                 faults: npt.NDArray[np.uint8] | None) -> None:
        self._device, self._targets = device, targets
        self._seed, self._number, self._faults = seed, number, faults
        self._core = self._program()
        self._reads = 0
        self._lock = threading.RLock()  # ageing is a change

    def _program(self) -> _core.Cells:
        return _core.Cells(self._device._settings, self._targets.reshape(-1), self._seed,
                           self._number, self._faults)

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            state = dict(self.__dict__, _core=self._core.time)
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()
        self._core = self._program()
        self._age_to(state["_core"])

    @property
    def targets(self) -> Doubles:
        """What the cells were programmed to, in uS."""
        return self._targets

    def _age_to(self, seconds: float) -> None:
        if math.isnan(seconds) or seconds < 0:
            raise Error(f"{seconds} seconds, expected 0 or more")
        if seconds < self._core.time:
            self._core = self._program()
        if seconds > self._core.time:
            self._core.age_to(float(seconds))

    @checked
    def at(self, seconds: float) -> Doubles:
        """Conductances in uS at a time in seconds after programming, in the shape of the targets.

        Raises
        ------
        Error
            For a time at which the device model is not defined.
        """
        with self._lock:
            self._age_to(seconds)
            return self._core.conductance.reshape(self._targets.shape)

    @checked
    def read(self, seconds: float | None = None) -> Doubles:
        """One read of every cell in uS: the conductances with the noise of this read.

        Parameters
        ----------
        seconds
            Time after programming; None: that of the last call.
        """
        with self._lock:
            if seconds is not None:
                self._age_to(seconds)
            self._reads += 1
            read = self._core.read(self._seed, self._number, self._reads)
        return read.reshape(self._targets.shape)

    @property
    def read_deviation(self) -> Doubles:
        """Standard deviation from read to read in uS, at the time of the last call."""
        with self._lock:
            return self._core.read_deviation.reshape(self._targets.shape)

    @property
    def inference_deviation(self) -> Doubles:
        """Standard deviation from inference to inference in uS, at the time of the last call.

        It is 1/f noise faster than ``device.inference_time``, which `at` and `read` do not include.
        """
        with self._lock:
            return self._core.inference_deviation.reshape(self._targets.shape)

    @property
    def faults(self) -> npt.NDArray[np.uint8]:
        """0 for a working cell, 1 stuck low, 2 stuck high, 3 open."""
        faults: npt.NDArray[np.uint8] = self._core.faults.reshape(self._targets.shape)
        return faults

    @property
    def programming(self) -> Description:
        """Cells within tolerance, pulses, reads, faults and energy of programming."""
        return Description(json.loads(self._core.programming()))


def _remove(directory: str, process: int) -> None:
    if os.getpid() == process:  # the end of a forked process is not that of the file
        shutil.rmtree(directory, ignore_errors=True)


class Device:
    """A kind of memristive cell.

    Parameters
    ----------
    model
        A name of :func:`device_models`; "table" needs ``table``, a CSV file (docs/devices.md).
    **settings
        Settings of section ``device``: ``programming_noise``, ``read_noise``, ``retention``,
        ``write_verify``, ``stuck_low``, ...

    Raises
    ------
    Error
        For an unknown model, naming all, and for settings that the model does not use.
    """

    @checked
    def __init__(self, model: str = "gaussian", **settings: object) -> None:
        self._settings = settings_of("device", {"model": model, **settings})
        self._range: tuple[float, float] = _core.device_range(self._settings)
        self._table: str | None = None
        self._more: Settings = []

    @classmethod
    def from_table(
        cls,
        times: npt.ArrayLike,
        targets: npt.ArrayLike,
        mean: npt.ArrayLike,
        sigma: npt.ArrayLike,
        **settings: object,
    ) -> Device:
        """Your own device from measured statistics.

        Parameters
        ----------
        times
            [times] in seconds after programming, ascending.
        targets
            [targets] in uS, at least two, ascending; the range of the device.
        mean, sigma
            [times, targets] in uS: mean and standard deviation of the conductance of cells that
            were programmed to a target, at a time.
        **settings
            As in :class:`Device`.
        """
        t, g = _doubles(times, "times", 1), _doubles(targets, "targets", 1)
        m, s = _doubles(mean, "mean", 2), _doubles(sigma, "sigma", 2)
        for name, array in (("mean", m), ("sigma", s)):
            if array.shape != (t.size, g.size):
                raise Error(
                    f"{name} has the shape {array.shape}, expected {(t.size, g.size)}: times x "
                    "targets"
                )
        rows = ["time,target,mean,sigma"]
        for i, seconds in enumerate(t.tolist()):
            for k, target in enumerate(g.tolist()):
                rows.append(f"{seconds!r},{target!r},{m[i, k].item()!r},{s[i, k].item()!r}")
        text = "\n".join(rows) + "\n"
        _core.check_device_table(text, "table")
        device = cls.__new__(cls)
        device._own(text, settings_of("device", settings))
        return device

    def _own(self, table: str, settings: Settings) -> None:
        """Write the table to a file, which lives as long as this object."""
        directory = tempfile.mkdtemp(prefix="crosstate-")
        weakref.finalize(self, _remove, directory, os.getpid())
        path = Path(directory) / "device.csv"
        path.write_text(table)
        self._table, self._more = table, settings
        self._settings = [("device.model", "table"), ("device.table", str(path)), *settings]
        self._range = _core.device_range(self._settings)

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._table is not None:  # a copy has its own file
            self._own(self._table, self._more)

    @classmethod
    @checked
    def from_function(
        cls,
        function: Callable[[float, float], tuple[float, float]],
        *,
        g_min: float,
        g_max: float,
        times: Sequence[float] = (0.0,),
        points: Points = 33,
        **settings: object,
    ) -> Device:
        """Your own device as a function of target and time.

        Parameters
        ----------
        function
            ``function(target, seconds)`` returns mean and standard deviation of the conductance in
            uS.
        g_min, g_max
            Range of targets in uS.
        times
            Seconds at which the device is defined, ascending; cells are used at these times.
        points
            Number of targets, evenly spaced, at which the function is called; linear between them.
        **settings
            As in :class:`Device`.
        """
        if not (math.isfinite(g_min) and math.isfinite(g_max) and 0 <= g_min < g_max):
            raise Error(f"g_min = {g_min}, g_max = {g_max}, expected 0 <= g_min < g_max")
        targets = np.linspace(g_min, g_max, points)
        found = [[function(float(g), float(t)) for g in targets] for t in times]
        try:
            pairs = _numbers(found, "function")
        except Error:
            pairs = np.empty(0)
        if pairs.ndim != 3 or pairs.shape[2] != 2:
            raise Error("the function has to return a pair: mean and standard deviation in uS")
        return cls.from_table(list(times), targets, pairs[:, :, 0], pairs[:, :, 1], **settings)

    @property
    def g_min(self) -> float:
        """Lowest target in uS."""
        return self._range[0]

    @property
    def g_max(self) -> float:
        """Highest target in uS."""
        return self._range[1]

    @checked
    def program(
        self,
        targets: npt.ArrayLike,
        *,
        seed: Seed = 1,
        number: Index = 0,
        faults: npt.ArrayLike | None = None,
    ) -> Cells:
        """Program cells to targets.

        Parameters
        ----------
        targets
            Conductances in uS, an array of any shape.
        seed, number
            Of the draws: cells of different arrays have different numbers.
        faults
            A fault for each cell (see :attr:`Cells.faults`), in addition to those of the settings.

        Raises
        ------
        Error
            For a target outside :attr:`g_min` to :attr:`g_max`.
        """
        array = _doubles(targets, "targets", 0)
        chosen = None
        if faults is not None:
            kinds = _numbers(faults, "faults")
            if kinds.dtype.kind not in "iub" or not np.isin(kinds, (0, 1, 2, 3)).all():
                raise Error("faults have other values than 0, 1, 2 and 3")
            chosen = np.ascontiguousarray(kinds, np.uint8)
            if chosen.shape != array.shape:
                raise Error(f"faults have the shape {chosen.shape}, expected {array.shape}")
            chosen = chosen.reshape(-1)
        return Cells(self, array, seed, number, chosen)

    def _settings_for_target(self) -> list[tuple[str, str]]:
        return self._settings


# --- arrays with wires


class Array:
    """A crossbar array as a circuit: cells, wires, and the current-voltage law of the cells.

    Parameters
    ----------
    conductance
        [rows, columns] in siemens.
    segment, driver, sense
        Resistances in ohm: between adjacent cells, of the drivers, and of the sense amplifiers.
    **settings
        Settings of section ``cells``: ``nl2``, ``nl3``, ``selector_current``, ...

    Raises
    ------
    Error
        For conductances that are negative or not finite, and for settings out of range.

    Notes
    -----
    Exact nodal analysis (docs/crossbar.md).
    """

    @checked
    def __init__(
        self,
        conductance: npt.ArrayLike,
        *,
        segment: float = 0.0,
        driver: float = 0.0,
        sense: float = 0.0,
        **settings: object,
    ) -> None:
        siemens = _doubles(conductance, "conductance", 2)
        if (siemens < 0).any():
            raise Error("conductance has a negative value, expected 0 S or more")
        wires = {"segment": segment, "driver": driver, "sense": sense}
        self._make(siemens, settings_of("wires", wires) + settings_of("cells", settings))

    def _make(self, siemens: Doubles, settings: Settings) -> None:
        self._siemens, self._settings = siemens, settings
        self._core = _core.Circuit(siemens, settings)

    def __reduce__(self) -> Any:
        return _array, (self._siemens, self._settings)

    @property
    def conductance(self) -> Doubles:
        """[rows, columns] in siemens."""
        return self._siemens

    def effective(self) -> Doubles:
        """The matrix E [rows, columns] in siemens with column currents ``v @ E``; linear cells only."""
        if not self._core.linear:
            raise Error("effective() requires linear cells, expected no nl2, nl3 or selector")
        return self._core.effective()

    def _volts(self, voltages: npt.ArrayLike) -> Doubles:
        volts = _doubles(voltages, "voltages", 1)
        if volts.size != self._siemens.shape[0]:
            raise Error(
                f"{volts.size} voltages, expected one for each of {self._siemens.shape[0]} rows"
            )
        return volts

    def currents(self, voltages: npt.ArrayLike) -> Doubles:
        """Column currents [columns] in amperes into ground, for row voltages [rows] in volts."""
        return self._core.currents(self._volts(voltages))

    def operating_point(self, voltages: npt.ArrayLike) -> dict[str, Any]:
        """``word`` and ``bit`` voltages at each cell, ``currents``, and Newton ``iterations``."""
        return dict(self._core.operating_point(self._volts(voltages)))

    def netlist(self, voltages: npt.ArrayLike) -> str:
        """The circuit for ``ngspice -b``."""
        return self._core.netlist(self._volts(voltages))


def _array(siemens: Doubles, settings: Settings) -> Array:
    """An array from a pickle."""
    array = Array.__new__(Array)
    array._make(siemens, settings)
    return array


# --- targets and mapping


def target_names() -> list[str]:
    """Hardware targets that come with the package."""
    return list(_core.target_names())


@checked
def target_settings(name: Path_) -> Description:
    """Devices, arrays and wires of a target, by name or TOML file."""
    return Description(json.loads(_core.target_settings(path_text(name))))


class Mapping(Description):
    """Which weight is on which array; a notebook shows the picture. Made by :func:`map_model`."""

    def __init__(self, model: Model, length: int, settings: Settings, target: str) -> None:
        # A model may be trained again.
        self._made_of = Model._of(model._fitted(), model), length, settings, target
        self._core = _core.Mapping(model._fitted(), length, settings, target)
        super().__init__(json.loads(self._core.json()))

    def __reduce__(self) -> Any:
        return Mapping, self._made_of

    @property
    def number_of_arrays(self) -> int:
        """Arrays, without copies."""
        return len(self._core)

    def _number(self, array: int) -> int:
        if array >= self.number_of_arrays:
            raise IndexError(f"array = {array}, expected 0 to {self.number_of_arrays - 1}")
        return array

    @checked
    def weights(self, array: Index) -> npt.NDArray[np.float32]:
        """Weights of an array in codes, [rows, columns] of its used part."""
        return self._core.weights(self._number(array))

    @checked
    def drive(self, array: Index) -> npt.NDArray[np.float32]:
        """Level of each row while a column is read, [rows, columns]; 0: grounded."""
        return self._core.drive(self._number(array))

    def svg(self) -> str:
        """A picture: one square per array, one point per pair that holds a weight."""
        return self._core.svg()

    def _repr_html_(self) -> str:
        return self.svg()


@checked
def map_model(
    model: Model, *, target: Path_ | None = None, length: Count = 784, **settings: object
) -> Mapping:
    """Place the weights of a quantized model on arrays.

    Parameters
    ----------
    target
        Name or TOML file; None: the default array.
    length
        Steps of the longest sequence, which determine the width of pooled values.
    **settings
        Settings of section ``crossbar``: ``rows``, ``columns``, ...
    """
    return Mapping(model, length, settings_of("crossbar", settings),
                   "" if target is None else path_text(target))


# --- simulation


class OwnChip(Protocol):
    """A chip of your own, in place of the simulated cells: see :func:`simulate`."""

    def program(self, array: int, conductances: Doubles) -> object:
        """Program an array to conductances [rows, bit lines] in siemens; a signed pair has two bit
        lines, plus before minus."""

    def multiply(self, array: int, voltages: Doubles) -> npt.ArrayLike:
        """Drive voltages [vectors, rows] one after the other; return the currents [vectors, bit
        lines] in amperes."""


class _ChipAdapter:
    """Checks what a chip of the caller returns."""

    def __init__(self, chip: Any) -> None:
        self._chip = chip
        self._lines = 0

    def program(self, array: int, conductances: Doubles) -> None:
        self._lines = conductances.shape[1]
        self._chip.program(array, conductances)

    def age_to(self, seconds: float) -> None:
        age_to = getattr(self._chip, "age_to", None)
        if age_to is not None:
            age_to(seconds)

    def multiply(self, array: int, first: int, count: int, voltages: Doubles) -> Doubles:
        currents = _doubles(self._chip.multiply(array, voltages), "currents of the chip", 2)
        expected = (voltages.shape[0], self._lines)
        if currents.shape != expected:
            raise Error(f"currents of the chip have the shape {currents.shape}, expected {expected}")
        return np.ascontiguousarray(currents[:, first : first + count])


class Records(list[dict[str, Any]]):
    """One dictionary per chip and age, as ``pandas.DataFrame(records)`` takes them."""

    #: Mean, deviation and worst by age, arrays, utilisation, conversions, programming.
    summary: Description

    def __init__(self, records: list[dict[str, Any]], summary: dict[str, Any]) -> None:
        super().__init__(records)
        self.summary = Description(summary)


@checked
def simulate(
    model: Model,
    x: DataLike,
    y: Any = None,
    *,
    target: Path_ | None = None,
    device: Device | None = None,
    chip: OwnChip | None = None,
    chips: int | None = None,
    times: object = None,
    seed: Seed = 1,
    threads: Threads = 0,
    progress: bool | None = None,
    out: Path_ | None = None,
    overwrite: bool = False,
    **settings: object,
) -> Records:
    """Accuracy of a quantized model on chips, at several ages.

    Parameters
    ----------
    x, y
        Test data: sequences and targets; or ``x`` alone: Data, or the directory of data.
    target
        Hardware target: one of :func:`target_names` or a TOML file; None: the default.
    device
        Cells that replace those of the target.
    chip
        A chip of your own, with methods ``program(array, conductances)``, ``multiply(array,
        voltages)`` and, if it ages, ``age_to(seconds)``; see :class:`OwnChip`. It is the only chip.
    chips, times
        Number of chips, and ages: "0 1h 1d 1y", or a list of seconds.
    seed
        Of all draws: the same as ``crosstate simulate --seed``.
    threads
        0: all cores.
    out
        Directory of ``simulate.json`` and of the page ``simulate.html``, as ``--out``; None: none
        is written.
    overwrite
        Replace earlier results in ``out``.
    **settings
        Settings of section ``simulate``, others as ``section__key``:
        ``crossbar__adc_bits=6``, ``device__read_noise=0.02``.

    Returns
    -------
    list of dict
        ``chip``, ``seconds`` since programming, and the primary metric (``accuracy``) of each chip
        at each age. Its attribute ``summary`` has the statistics.

    Raises
    ------
    Error
        For a model that is no integer network, and for settings and data that do not fit.
    KeyboardInterrupt
        After Ctrl-C.
    """
    memory, data_settings = model._test_data(x, y)
    if chip is not None and chips is None:
        chips = 1
    wanted = [*data_settings, ("run.seed", str(seed))]
    if device is not None:
        wanted += device._settings_for_target()
    wanted += settings_of("simulate", {"chips": chips, "times": times, **settings})
    bar = Bar(progress)

    def report(number: int, age: int, metric: float) -> None:
        bar.say(f"chip {number + 1}, age {age + 1}: {metric:.4f}", keep=True)

    try:
        result = json.loads(
            _core.simulate(
                model._fitted(), memory, wanted, "" if target is None else path_text(target),
                None if chip is None else _ChipAdapter(chip),
                report if bar.shown else None, threads, "" if out is None else path_text(out),
                earlier(False, overwrite),
            )
        )
    finally:
        bar.close()
    metric = result["metric"]
    records = [
        {"chip": number, "seconds": age["seconds"], metric: value}
        for age in result.pop("metrics")
        for number, value in enumerate(age["chips"])
    ]
    return Records(records, result)
