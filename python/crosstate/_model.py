"""Models: training, quantization, pruning, prediction, streams."""

from __future__ import annotations

import html
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._arguments import Count, Pair, Path_, Seed, Threads, checked, path_text, shown
from ._core import Error
from ._data import Data, Labels, _numbers, _target_array, _texts, as_samples, as_sequences
from ._progress import Callback, Note, user_level
from ._runs import Work, temporary_directory, work
from ._safetensors import format_, parse
from ._settings import Settings, flat, settings_of

#: Arrays (with the targets beside them), data, or the directory of data.
DataLike = Any


class Description(dict[str, Any]):
    """A nested dictionary that a notebook shows as a table."""

    def _rows(self) -> Iterator[tuple[str, str]]:
        def rows(value: Any, key: str) -> Iterator[tuple[str, str]]:
            if isinstance(value, Mapping) and value:
                for name, inner in value.items():
                    yield from rows(inner, f"{key}.{name}" if key else str(name))
            elif isinstance(value, float):
                yield key, f"{value:.6g}"
            else:
                text = str(value)
                yield key, text if len(text) <= 100 else text[:97] + "..."

        return rows(dict(self), "")

    def __str__(self) -> str:
        rows = list(self._rows())
        width = max((len(key) for key, _ in rows), default=0)
        return "\n".join(f"{key:<{width}}  {value}" for key, value in rows)

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for key, value in self._rows()
        )
        return f"<table>{cells}</table>"


def as_data(
    x: DataLike,
    y: Any,
    *,
    validation: Pair | None = None,
    test: Pair | None = None,
    task: str | None = None,
    every_step: bool = False,
) -> Data:
    """The arguments of a function as data of a run."""
    if y is not None:
        return Data(x, y, validation=validation, test=test, task=task, every_step=every_step)
    if validation is not None or test is not None:
        raise Error("validation and test belong to arrays x and y; Data has its own")
    if isinstance(x, Data):
        return x
    if isinstance(x, (str, bytes, os.PathLike)):
        return Data.read(x)
    raise Error(
        f"expected x and y, Data, or the directory of data, but y is missing and x is {shown(x)}"
    )


def _values(x: Any) -> npt.NDArray[np.float32]:
    """Any real numbers, in C order."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(_numbers(x, "x"), np.float32).reshape(-1)


class Stream:
    """An endless input of an integer network, step by step, in constant memory.

    Made by :meth:`Model.stream`.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._core = model._fitted().stream()
        self._width = self._core.width

    @property
    def width(self) -> int:
        """Values per step of the input: one sample of a recording, or one per input."""
        return self._width

    @property
    def steps(self) -> int:
        """Steps of the network since the start or :meth:`reset`."""
        return self._core.steps

    def step(self, x: npt.ArrayLike) -> Any:
        """Process one step, [width] values or a number, and return the decision so far.

        Returns
        -------
        A class, or the values as an array; None before the first step of the network, which a
        front end completes after several samples.

        Raises
        ------
        Error
            For another number of values, and for values that are not finite.
        """
        values = _values(x)
        if values.size != self._width:
            raise Error(f"{values.size} values, expected {self._width}")
        return self.push(values)

    def push(self, x: npt.ArrayLike) -> Any:
        """Process several steps, [steps, width] or [steps] values; returns the same as step()."""
        values = _values(x)
        if values.size % self._width:
            raise Error(f"{values.size} values, expected a multiple of {self._width}")
        if not np.isfinite(values).all():
            raise Error("x has a value that is not finite")
        # In parts, between which other threads and Ctrl-C have their turn.
        part = 16384 * self._width
        for start in range(0, values.size, part):
            self._core.push(values[start : start + part])
        if self._core.steps == 0:
            return None
        outputs, largest = self._core.result()
        return self._model._decide(outputs[np.newaxis], np.array([largest]))[0]

    @property
    def outputs(self) -> npt.NDArray[np.float32]:
        """Outputs of the network after the steps so far, at least one."""
        if self._core.steps == 0:
            raise Error("no step of the network yet")
        outputs: npt.NDArray[np.float32] = self._core.result()[0]
        return outputs

    def reset(self) -> None:
        """End the sequence."""
        self._core.reset()


class Model:
    """A deep S4D network, from its options to its deployed integer form.

    Parameters
    ----------
    **options
        Settings of section ``model``: ``channels``, ``states``, ``layers``, ``readout``, ...
        (``crosstate.settings("model.")`` lists them).

    Raises
    ------
    Error
        For an unknown option, naming the nearest, and for a value out of range.

    Notes
    -----
    The model is that of Gu et al., *On the parameterization and initialization of diagonal state
    space models*, arXiv 2206.11893; quantization-aware training follows arXiv 2507.06079.

    Examples
    --------
    >>> model = Model(channels=8, states=8).fit(x, y, epochs=10)
    >>> small = model.quantize(x, y)
    >>> small.predict(x)
    """

    def __init__(self, **options: object) -> None:
        self._options: Settings = settings_of("model", options)
        _core.check_settings([*self._options, ("run.quantize", "false")],
                             ["model.", "run.quantize"], "crosstate.Model")
        self._core: _core.Model | None = None
        self._facts: dict[str, Any] = {}
        self._labels = Labels()
        #: Results of every epoch of the last training.
        self.history: list[dict[str, Any]] = []
        #: Results of the last run, as the command line writes them.
        self.summary: dict[str, Any] = {}

    # --- construction

    @classmethod
    def _of(cls, core: _core.Model, like: Model | None = None,
            labels: Labels = Labels()) -> Model:
        model = cls()
        model._take(core, labels if like is None else like._labels)
        if like is not None:
            model._options = list(like._options)
        return model

    def _take(self, core: _core.Model, labels: Labels) -> None:
        self._core = core
        self._facts = json.loads(core.facts())
        self._labels = labels

    @classmethod
    @checked
    def load(cls, path: Path_) -> Model:
        """Read a model file of this package or of the command line.

        Raises
        ------
        Error
            For a file that is missing, damaged, or not a model.
        """
        return cls._of(_core.Model.load(path_text(path)))

    @checked
    def save(self, path: Path_) -> None:
        """Write the model as one safetensors file, completely or not at all."""
        self._fitted().save(path_text(path))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_core"] = None if self._core is None else self._core.to_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if state["_core"] is not None:
            self._core = _core.Model.from_bytes(state["_core"], self._facts["name"])

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        copy = type(self)()
        copy.__setstate__(self.__getstate__())
        return copy

    def _fitted(self) -> _core.Model:
        if self._core is None:
            raise Error("the model has no network yet, expected fit() or load() before")
        return self._core

    # --- properties

    @property
    def fitted(self) -> bool:
        """Whether the model has a network."""
        return self._core is not None

    @property
    def quantized(self) -> bool:
        """Whether the network is quantized, as by :meth:`quantize` or :meth:`qat`."""
        self._fitted()
        return bool(self._facts["quantized"])

    @property
    def integer(self) -> bool:
        """Whether the network is an integer network, as by :meth:`to_integers`."""
        self._fitted()
        return bool(self._facts["integer"])

    @property
    def task(self) -> str:
        """"classification", "regression" or "multi-label"."""
        self._fitted()
        return str(self._facts["task"])

    @property
    def every_step(self) -> bool:
        """Whether outputs are read at every step."""
        self._fitted()
        return bool(self._facts["every_step"])

    @property
    def classes(self) -> npt.NDArray[Any]:
        """Classes in the order of the outputs, as they were given; or names of outputs.

        A file keeps names alone: after :meth:`load`, classes are integers if all are written as
        integers, and else texts.
        """
        self._fitted()
        return self._labels.of(self._facts["names"])

    @property
    def inputs(self) -> int:
        """Channels of the sequences."""
        self._fitted()
        return int(self._facts["inputs"])

    @property
    def sample_rate(self) -> int | None:
        """Hz of the recordings that the model hears; None for a model of sequences."""
        self._fitted()
        rate = self._facts.get("sample_rate")
        return None if rate is None else int(rate)

    @property
    def not_integer(self) -> str:
        """Why the model cannot be an integer network; empty if it can."""
        self._fitted()
        return str(self._facts["not_integer"])

    # --- training

    def _reads_every_step(self) -> bool:
        if self._core is not None:
            return self.every_step
        return ("model.readout", "step") in self._options

    def _model_options(self) -> Settings:
        """The options of the network, all of them."""
        return flat({"model": json.loads(self._fitted().describe())["model"]})

    @checked
    def fit(
        self,
        x: DataLike,
        y: Any = None,
        *,
        validation: Pair | None = None,
        test: Pair | None = None,
        task: str | None = None,
        seed: Seed = 1,
        threads: Threads = 0,
        callback: Callback | None = None,
        progress: bool | None = None,
        out: Path_ | None = None,
        resume: bool = False,
        overwrite: bool = False,
        **settings: object,
    ) -> Model:
        """Train the network in floating point, from its first initialisation.

        Parameters
        ----------
        x, y
            Sequences and targets as :class:`Data` takes them; or ``x`` alone: Data, or the
            directory of data.
        validation, test, task
            As in :class:`Data`.
        seed
            Of every random draw. The same seed gives the same bits, on any number of threads, and
            the same file as ``crosstate train``.
        threads
            0: all cores.
        callback
            Called with a :class:`TrainProgress` every few batches and after every epoch. Returning
            True ends training with the best epoch so far.
        progress
            Whether to show progress; None: in a terminal and in a notebook.
        out
            Directory of checkpoints, models and reports, as ``--out``; None: none is kept.
        resume, overwrite
            Continue or replace an earlier run in ``out``.
        **settings
            Settings of section ``train`` (``epochs``, ``batch``, ``learning_rate``, ...); others
            as ``section__key``.

        Returns
        -------
        Model
            This object. With validation data (or a share held out) the network is that of the best
            epoch.

        Raises
        ------
        Error
            For settings and data that are invalid, and for a loss that is not finite.
        KeyboardInterrupt
            After Ctrl-C, which stops between two batches. The model then has the network of the
            best epoch, if one was completed; so after an exception of ``callback``.
        """
        data = as_data(x, y, validation=validation, test=test, task=task,
                       every_step=self._reads_every_step())
        wanted = [*self._options, ("run.quantize", "false"), *settings_of("train", settings)]
        # A model that was loaded has its options in its file alone.
        given = self._model_options() if self.fitted and not self._options else []
        with work(out, threads, progress, callback, resume=resume, overwrite=overwrite) as run:
            self._train(run, "float", data, seed, wanted, given)
        return self

    def _train(
        self,
        run: Work,
        stage: str,
        data: Data,
        seed: int,
        settings: Settings,
        given: Settings,
        target: Path_ | None = None,
    ) -> None:
        try:
            self.summary = json.loads(
                _core.train(
                    given, [("run.seed", str(seed)), *data._settings, *settings], "",
                    "" if target is None else path_text(target), data._memory, run.place,
                )
            )
        except BaseException:
            if run.hooks.best_model is not None:
                self._take(run.hooks.best_model, data._labels)
                self.history = run.hooks.history
            raise
        self.history = run.hooks.history
        if not self.summary["interrupted"]:
            self._take(run.model(stage + ".safetensors"), data._labels)
        elif run.hooks.best_model is not None:
            self._take(run.hooks.best_model, data._labels)
        else:
            raise Error("training was stopped before the end of its first epoch")

    @contextmanager
    def _saved(self) -> Iterator[str]:
        """The model as a file, which runs that start from a model read."""
        with temporary_directory() as directory:
            path = os.path.join(directory, "model.safetensors")
            self._fitted().save(path)
            yield path

    @checked
    def qat(
        self,
        x: DataLike,
        y: Any = None,
        *,
        preset: str | None = None,
        target: Path_ | None = None,
        validation: Pair | None = None,
        test: Pair | None = None,
        task: str | None = None,
        seed: Seed = 1,
        threads: Threads = 0,
        callback: Callback | None = None,
        progress: bool | None = None,
        out: Path_ | None = None,
        overwrite: bool = False,
        **settings: object,
    ) -> Model:
        """Quantize the network and train it further with quantization (QAT).

        A quantized network continues in its formats, or in those of ``preset``; its ranges are
        chosen anew.

        Parameters
        ----------
        preset
            ``quant.preset``: "w8a8s8", "w4a8s8", ...
        target
            Hardware target (:func:`target_names`, or a TOML file) whose noise is added in training.
        **settings
            Settings of section ``qat`` (``epochs``, ``learning_rate``, ``distill``, ...); others as
            ``section__key``: ``quant__weight_noise=0.02``.

        Returns
        -------
        Model
            A new, quantized model. Other parameters and errors are those of :meth:`fit`.
        """
        data = as_data(x, y, validation=validation, test=test, task=self._task_of(y, task),
                       every_step=self.every_step)
        wanted = settings_of("qat", settings)
        start = self._without_rounding() if self.quantized else self
        given = self._model_options()
        if self.quantized:
            if preset is None:
                given += flat({"quant": json.loads(self._fitted().describe())["quant"]})
        if preset is not None:
            wanted.append(("quant.preset", preset))
        trained = type(self)()
        trained._options = list(self._options)
        with start._saved() as file, work(
            out, threads, progress, callback, overwrite=overwrite
        ) as run:
            trained._train(run, "qat", data, seed, [("run.start", file), *wanted], given, target)
        trained._labels = self._labels
        return trained

    def _without_rounding(self) -> Model:
        """The float network with the weights of a quantized one."""
        if self.integer:
            raise Error("an integer network has no weights to train, expected the quantized model")
        arrays, metadata = parse(self._fitted().to_bytes(), "the model")
        ranges = re.compile(r"^(range|scale)\.|\.state_step$")
        kept = {name: value for name, value in arrays.items() if not ranges.search(name)}
        return self._of(
            _core.Model.from_bytes(format_(kept, {**metadata, "quantized": "false"}), "the model"),
            self,
        )

    def _task_of(self, y: Any, task: str | None) -> str | None:
        return self.task if y is not None and task in (None, "auto") else task

    @checked
    def quantize(
        self,
        x: DataLike,
        y: Any = None,
        *,
        preset: str | None = None,
        loss: float | None = None,
        bytes: Count | None = None,
        validation: Pair | None = None,
        test: Pair | None = None,
        task: str | None = None,
        seed: Seed = 1,
        threads: Threads = 0,
        progress: bool | None = None,
        out: Path_ | None = None,
        overwrite: bool = False,
        **settings: object,
    ) -> Model:
        """Quantize the network without further training (PTQ).

        Without a format, the cheapest is searched that loses at most ``loss`` points on held-out
        data, or the best within ``bytes`` (docs/quantization.md).

        Parameters
        ----------
        preset
            A format to follow as it is: ``quant.preset``.
        loss
            Points of the primary metric that may be lost (``ptq.loss``).
        bytes
            Bytes in total, at most (``ptq.bytes``).
        **settings
            Settings of section ``quant``; others as ``section__key``. ``ptq__front=8`` adds eight
            formats of other sizes to ``summary["front"]``, and their files to ``out``.

        Returns
        -------
        Model
            A new, quantized model; its ``summary`` says what was chosen and why. Other parameters
            are those of :meth:`fit`.

        Raises
        ------
        Error
            For a model that is quantized already, and for a goal that no format meets.
        """
        if self.quantized:
            raise Error("the model is already quantized, expected a float model")
        data = as_data(x, y, validation=validation, test=test, task=self._task_of(y, task),
                       every_step=self.every_step)
        wanted = settings_of("quant", settings)
        names_bits = any(
            key.startswith("quant.") and key.rsplit(".", 1)[1] in ("bits", "residue_bits")
            for key, _ in wanted
        )
        for key, value in (("quant.preset", preset), ("ptq.loss", loss), ("ptq.bytes", bytes)):
            if value is not None:
                wanted.extend(settings_of("", {key: value}))
        names_preset = any(key == "quant.preset" for key, _ in wanted)
        goal = any(key in ("ptq.loss", "ptq.bytes", "ptq.front") for key, _ in wanted)
        search = goal or not (names_preset or names_bits)
        with self._saved() as file, work(out, threads, progress, overwrite=overwrite) as run:
            summary = json.loads(
                _core.quantize(
                    file, [("run.seed", str(seed)), *data._settings, *wanted], data._memory,
                    search, names_preset, run.place,
                )
            )
            made = self._of(run.model("ptq.safetensors"), self)
        del summary["model"]  # its temporary file
        made.summary = summary
        return made

    @checked
    def prune_points(
        self,
        x: DataLike,
        y: Any = None,
        *,
        validation: Pair | None = None,
        test: Pair | None = None,
        task: str | None = None,
        seed: Seed = 1,
        threads: Threads = 0,
        callback: Callback | None = None,
        progress: bool | None = None,
        out: Path_ | None = None,
        resume: bool = False,
        overwrite: bool = False,
        **settings: object,
    ) -> list[Model]:
        """Remove modes and channels at several points, and retrain each result.

        Parameters
        ----------
        **settings
            Settings of section ``prune``: ``states="0.25 0.5"``, ``channels``, ``score``, ...;
            others as ``section__key``: ``qat__epochs=5``, ``run__quantize=False``.

        Returns
        -------
        list of Model
            One per point. Other parameters and errors are those of :meth:`fit`.
        """
        data = as_data(x, y, validation=validation, test=test, task=self._task_of(y, task),
                       every_step=self.every_step)
        wanted = settings_of("prune", settings)
        with self._saved() as file, work(
            out, threads, progress, callback, resume=resume, overwrite=overwrite
        ) as run:
            summary = json.loads(
                _core.prune(
                    file, [("run.seed", str(seed)), *data._settings], wanted, data._memory,
                    run.place,
                )
            )
            if summary["interrupted"]:
                raise Error("pruning was stopped before its end")
            models = []
            for point in summary["models"][0]["points"]:
                made = self._of(run.model(point["file"]), self)
                made.summary = point
                made.history = run.hooks.history
                models.append(made)
        return models

    def prune(self, x: DataLike, y: Any = None, **settings: Any) -> Model:
        """Remove modes and channels, and retrain: :meth:`prune_points` with one point.

        Raises
        ------
        Error
            For shares that are several points.
        """
        models = self.prune_points(x, y, **settings)
        if len(models) != 1:
            raise Error(f"{len(models)} points, expected one share each, or prune_points()")
        return models[0]

    # --- prediction

    def _memory_of(self, x: Any, targets: npt.NDArray[np.float32] | None = None,
                   ) -> tuple[_core.Memory, list[int]]:
        model = self._fitted()
        if self.sample_rate is not None:
            return self._recordings_of(x), []
        array, lengths = as_sequences(x, "x")
        return _core.sequences_for(model, array, lengths, targets), lengths

    def _recordings_of(self, x: Any, labels: Sequence[int] | None = None) -> _core.Memory:
        builder = _core.RecordingsBuilder(self.sample_rate or 0, self._facts["names"])
        if isinstance(x, np.ndarray) and x.dtype != object and x.ndim == 3 and x.shape[2] == 1:
            x = x[:, :, 0]
        if len(x) == 0:
            raise Error("x has no recordings, expected at least one")
        for i, sound in enumerate(x):
            name = f"recording {i}"
            label = 0 if labels is None else labels[i]
            builder.add("test", name, as_samples(sound, name), label, "")
        return builder.build()

    @checked
    def outputs(
        self, x: Any, *, backend: str | None = None, threads: Threads = 0
    ) -> npt.NDArray[np.float32]:
        """Outputs of the network: logits, or values before offset and scale.

        Parameters
        ----------
        x
            Sequences as in :class:`Data`; for a model of recordings a list of arrays [samples].
        backend : {"float", "fake", "integer", "reference"}, optional
            How they are computed; None: as the model was saved.
        threads
            0: all cores.

        Returns
        -------
        array [sequences, outputs], or with ``every_step`` [steps of all sequences, outputs]
        """
        values: npt.NDArray[np.float32] = self._rows(x, backend, threads)[0]
        return values

    def _rows(self, x: Any, backend: str | None, threads: int) -> tuple[Any, Any, list[int]]:
        memory, lengths = self._memory_of(x)
        values, largest = self._fitted().predict(memory, backend or "", threads)
        return values, largest, lengths

    def _decide(self, outputs: npt.NDArray[Any], largest: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One decision per row of outputs."""
        if self.task == "classification":
            decided: npt.NDArray[Any] = self.classes[largest]
            return decided
        if self.task == "multi-label":
            return (outputs > 0).astype(np.int64)
        offset, scale = self._facts["offset"], self._facts["scale"]
        values = outputs.astype(np.float64)
        if scale:
            values = np.asarray(offset) + np.asarray(scale) * values
        return values[:, 0] if values.shape[1] == 1 else values

    def _per_sequence(self, rows: npt.NDArray[Any], lengths: list[int]) -> Any:
        """Rows of steps by sequence: one array if all have the same length, else a list."""
        if not self.every_step:
            return rows
        parts = np.split(rows, np.cumsum(lengths)[:-1])
        return np.stack(parts) if len(set(lengths)) == 1 else parts

    @checked
    def predict(self, x: Any, *, backend: str | None = None, threads: Threads = 0) -> Any:
        """Classes, labels or values of sequences.

        Parameters
        ----------
        x, backend, threads
            As in :meth:`outputs`.

        Returns
        -------
        array
            Classification: [sequences] of :attr:`classes`. Multi-label: [sequences, labels] of 0
            and 1. Regression: [sequences], or [sequences, values]. With ``every_step`` a second
            dimension of steps; for sequences of different lengths a list of arrays instead.

        Raises
        ------
        Error
            For sequences with another number of channels, for values that are not finite, and, with
            integers, for sequences longer than proven to be exact.
        """
        outputs, largest, lengths = self._rows(x, backend, threads)
        return self._per_sequence(self._decide(outputs, largest), lengths)

    @checked
    def predict_proba(self, x: Any, *, backend: str | None = None, threads: Threads = 0) -> Any:
        """Probabilities [sequences, outputs] of classes (softmax) or labels (sigmoid).

        Parameters and shapes as in :meth:`predict`. Raises Error for regression.
        """
        if self.task == "regression":
            raise Error("regression has no probabilities, expected predict()")
        outputs, _, lengths = self._rows(x, backend, threads)
        values = outputs.astype(np.float64)
        if self.task == "classification":
            values = np.exp(values - values.max(axis=1, keepdims=True))
            values /= values.sum(axis=1, keepdims=True)
        else:
            values = 0.5 * (1 + np.tanh(values / 2))
        return self._per_sequence(values, lengths)

    def _targets_of(self, y: Any, lengths: list[int]) -> npt.NDArray[np.float32]:
        """Targets as the task of the model defines them: [sequences, 1 or steps, width]."""
        every = self.every_step
        array = _target_array(y, "y", lengths, every)
        if not every:
            array = array[:, np.newaxis, :]
        if self.task != "classification":
            if array.shape[2] != len(self._facts["names"]):
                raise Error(
                    f"y has {array.shape[2]} targets, but the model has "
                    f"{len(self._facts['names'])}"
                )
            return np.ascontiguousarray(array, np.float32)
        names = {name: float(i) for i, name in enumerate(self._facts["names"])}
        values = _by_value(names)
        names.update({text: names[name] for name, text in self._labels.texts.items()})
        if array.shape[2] != 1:
            raise Error(f"y has {array.shape[2]} targets, expected 1 (the class)")

        def index(label: Any, text: str) -> float:
            if text in names:
                return names[text]
            number = _as_number(label)
            if number is not None and number in values:
                return values[number]
            if every and text in ("", "-1"):
                return float("nan")
            raise Error(f"y: class {text!r} is not one of the model: {', '.join(names)}")

        labels = array.reshape(-1).tolist()
        indices = [index(label, text) for label, text in zip(labels, _texts(labels, "y"))]
        return np.array(indices, np.float32).reshape(array.shape)

    def _test_data(self, x: DataLike, y: Any = None) -> tuple[_core.Memory | None, Settings]:
        """Test data of this model, for functions that take a model and data."""
        if y is None:
            data = as_data(x, y)
            if data._memory is not None and data._memory.test_count == 0:
                raise Error("the data have no test part, expected Data(..., test=(x, y))")
            return data._memory, data._settings
        if self.sample_rate is not None:
            targets = self._targets_of(y, [1] * len(x))
            return self._recordings_of(x, [int(one) for one in targets.reshape(-1)]), []
        array, lengths = as_sequences(x, "x")
        targets = self._targets_of(y, lengths)
        return _core.sequences_for(self._fitted(), array, lengths, targets), []

    @checked
    def evaluate(
        self, x: DataLike, y: Any = None, *, backend: str | None = None, threads: Threads = 0
    ) -> Description:
        """Loss and metrics on test data.

        Parameters
        ----------
        x, y
            Sequences and targets; or ``x`` alone: Data, whose test part is used, or a directory.
        backend, threads
            As in :meth:`outputs`.

        Returns
        -------
        dict
            ``loss``, the metrics of the task (``accuracy``, ``confusion``, ...), ``sequences``,
            ``backend``: the result of ``crosstate eval --json``.
        """
        memory, settings = self._test_data(x, y)
        return Description(
            json.loads(
                self._fitted().evaluate(memory, settings, backend or "", threads)
            )
        )

    @checked
    def compare(
        self,
        other: Model,
        x: DataLike,
        y: Any = None,
        *,
        backend: str | None = None,
        threads: Threads = 0,
    ) -> Description:
        """Compare the decisions of two models on the same test sequences.

        Parameters
        ----------
        other
            Another model.
        x, y, backend, threads
            As in :meth:`evaluate`, for both models.

        Returns
        -------
        dict
            The result of :meth:`evaluate`, with that of ``other`` as ``compared``, and ``paired``:
            the numbers of sequences that ``both`` models, ``only_first`` (this one),
            ``only_second`` or ``neither`` have right, and ``p_value``, the probability of so uneven
            a difference by chance (McNemar's exact test); the result of ``crosstate eval
            --compare``.

        Raises
        ------
        Error
            For models whose decisions are not right or wrong on whole sequences, and for a model
            that does not have the classes of the data.
        """
        memory, settings = self._test_data(x, y)
        other_memory, _ = other._test_data(x, y)
        result = self._fitted().compare(
            memory, other._fitted(), other_memory, settings, backend or "", threads
        )
        return Description(json.loads(result))

    @checked
    def score(self, x: DataLike, y: Any = None) -> float:
        """The primary metric on test data: accuracy, of regression R2 or its error."""
        return float(self.evaluate(x, y)[self._facts["metric"]])

    def stream(self) -> Stream:
        """Run the integer network step by step.

        Raises
        ------
        Error
            For a model that cannot be an integer network, or that reads steps in permuted order.
        """
        return Stream(self if self.integer else self.to_integers())

    # --- description

    @checked
    def to_integers(self, *, arithmetic: str | None = None) -> Model:
        """The integer network, as deployed.

        Parameters
        ----------
        arithmetic
            ``front_end.arithmetic`` of the result, "integer" or "float", for models of recordings.
            It may differ from that of the model, whose accuracy then is to be measured again. None:
            that of the model.

        Raises
        ------
        Error
            With the reason, if it cannot be converted or has no front end in this arithmetic.
        """
        core = self._fitted().to_integers()
        return self._of(core if arithmetic is None else core.with_front_end(arithmetic), self)

    @checked
    def export(
        self, directory: Path_, *, overwrite: bool = False, **settings: object
    ) -> Description:
        """Write the integer network as C99 for microcontrollers, or as arrays for NumPy.

        Parameters
        ----------
        directory
            Of the files; created if it is missing.
        overwrite
            Replace existing files.
        **settings
            Settings of section ``export``: ``format`` ("c" or "npz"), ``name``, ``unit``, ...

        Returns
        -------
        dict
            ``files``, ``name``, ``memory``, and of C ``constants``, ``state`` and ``stack_arrays``
            in bytes, as the command ``crosstate export`` (docs/export.md).

        Raises
        ------
        Error
            For a model that cannot be an integer network, that reads steps in permuted order, and
            for existing files with other content.
        """
        found = json.loads(_core.export_model(
            self._fitted(), settings_of("export", settings), path_text(directory), overwrite))
        if "note" in found:
            warnings.warn(found.pop("note"), Note, stacklevel=user_level())
        return Description(found)

    def describe(self) -> Description:
        """Options, formats, shapes and dynamics; a notebook shows a table."""
        return Description(json.loads(self._fitted().describe()))

    def certificate(self) -> Description:
        """Bounds of every accumulator of the integer network, proven from its weights alone.

        Returns
        -------
        dict
            ``accumulators`` (name, bound, bits), ``states`` (modes, never_saturate, ...),
            ``longest_sequence``, ``fits_int32``, ``exact_in_float`` (docs/arithmetic.md).
        """
        return Description(json.loads(self._fitted().certificate()))

    def __repr__(self) -> str:
        if self._core is None:
            options = ", ".join(f"{key.split('.', 1)[1]}={value}" for key, value in self._options)
            return f"Model({options})"
        kind = "integer" if self.integer else "quantized" if self.quantized else "float"
        return f"<{kind} model: {self.task}, {self.inputs} inputs, {len(self.classes)} outputs>"

    def _repr_html_(self) -> str:
        if self._core is None:
            return f"<code>{html.escape(repr(self))}</code>"
        return f"<p>{html.escape(repr(self))}</p>" + self.describe()._repr_html_()


def _by_value(names: Mapping[str, float]) -> dict[float, float]:
    """Indices of the classes that are called as numbers, which can be written in several ways."""
    numbers = {_as_number(name): index for name, index in names.items()}
    return {number: index for number, index in numbers.items() if number is not None}


def _as_number(label: Any) -> float | None:
    try:
        return float(label)
    except (TypeError, ValueError):
        return None


@checked
def load(path: Path_) -> Model:
    """Read a model file: ``crosstate.load("qat.safetensors").predict(x)``."""
    return Model.load(path)


class Run(dict[str, Any]):
    """The summary of a run (``summary.json``), with its models by stage."""

    def __init__(self, summary: Mapping[str, Any], models: dict[str, Model],
                 history: list[dict[str, Any]]) -> None:
        super().__init__(summary)
        #: "float", and as far as the run has them "pruned", "ptq" and "qat".
        self.models = models
        #: Results of every epoch.
        self.history = history

    @property
    def model(self) -> Model:
        """The last one."""
        return list(self.models.values())[-1]


@checked
def train(
    x: DataLike,
    y: Any = None,
    *,
    out: Path_ | None = None,
    config: Path_ | None = None,
    target: Path_ | None = None,
    validation: Pair | None = None,
    test: Pair | None = None,
    task: str | None = None,
    every_step: bool = False,
    seed: Seed | None = None,
    threads: Threads = 0,
    callback: Callback | None = None,
    progress: bool | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: object,
) -> Run:
    """Run ``crosstate train``: float training, PTQ, QAT, and the results of each stage.

    Parameters
    ----------
    x, y, validation, test, task, every_step
        As in :class:`Data`; or ``x`` alone: Data, or the directory of data.
    out
        Directory of models, checkpoints, ``summary.json`` and ``report.html``; None: none is kept.
    config
        TOML file of settings.
    target
        Hardware target whose noise is added in quantized training.
    seed
        Of every random draw (``run.seed``).
    threads, callback, progress, resume, overwrite
        As in :meth:`Model.fit`.
    **settings
        Settings of section ``run``, others as ``section__key``: ``train__epochs=5``.

    Returns
    -------
    Run
        The summary, with the models of all stages.
    """
    data = as_data(x, y, validation=validation, test=test, task=task, every_step=every_step)
    wanted = [*data._settings, *settings_of("run", {"seed": seed, **settings})]
    if every_step:
        wanted.append(("model.readout", "step"))
    with work(out, threads, progress, callback, resume=resume, overwrite=overwrite) as run:
        summary = json.loads(
            _core.train(
                [], wanted, "" if config is None else path_text(config),
                "" if target is None else path_text(target), data._memory, run.place,
            )
        )
        if summary["interrupted"]:
            raise Error("the run was stopped before its end")
        models = {
            stage: Model._of(run.model(f"{stage}.safetensors"), labels=data._labels)
            for stage in ("float", "pruned", "ptq", "qat")
            if stage in summary
        }
    return Run(summary, models, run.hooks.history)
