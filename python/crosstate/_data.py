"""Data for training and testing, from arrays, recordings or files."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._arguments import (
    A_LIST,
    Pair,
    Path_,
    SampleRate,
    Seed,
    Threads,
    checked,
    path_text,
    plain_text,
    shown,
)
from ._core import Error
from ._settings import Settings, settings_of

Floats = npt.NDArray[np.float32]


def _numbers(values: Any, name: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:  # ragged
        raise Error(f"{name}: {error}") from None
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise Error(f"{name} has masked values, expected a value everywhere")
    if array.dtype.kind not in "fiub":
        raise Error(f"{name} has the type {array.dtype}, expected real numbers")
    return array


def as_sequences(x: Any, name: str) -> tuple[Floats, list[int]]:
    """The sequences as one padded array in C order [sequences, steps, channels], and their lengths.

    Raises
    ------
    Error
        For other types and numbers of dimensions, for no sequences, and for sequences without
        steps or with different numbers of channels.
    """
    ragged = isinstance(x, (list, tuple)) or (
        isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1
    )
    if ragged:
        parts = [_numbers(one, f"{name}[{i}]") for i, one in enumerate(x)]
        if any(part.ndim not in (1, 2) for part in parts):
            wrong = next(i for i, part in enumerate(parts) if part.ndim not in (1, 2))
            raise Error(
                f"{name}[{wrong}] has {parts[wrong].ndim} dimensions, "
                "expected steps, or steps and channels"
            )
        parts = [part[:, np.newaxis] if part.ndim == 1 else part for part in parts]
        if not parts:
            raise Error(f"{name} has no sequences, expected at least one")
        channels = parts[0].shape[1]
        for i, part in enumerate(parts):
            if part.shape[1] != channels:
                raise Error(
                    f"{name}[{i}] has {part.shape[1]} channels, but {name}[0] has {channels}"
                )
        lengths = [part.shape[0] for part in parts]
        array = np.zeros((len(parts), max(lengths), channels), np.float32)
        with np.errstate(over="ignore"):
            for row, part in zip(array, parts):
                row[: len(part)] = part
    else:
        given = _numbers(x, name)
        if given.ndim not in (2, 3):
            raise Error(
                f"{name} has {given.ndim} dimensions, expected sequences and steps, or sequences, "
                "steps and channels"
            )
        if given.ndim == 2:
            given = given[:, :, np.newaxis]
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(given, np.float32)
        lengths = [array.shape[1]] * array.shape[0]
    if array.shape[0] == 0:
        raise Error(f"{name} has no sequences, expected at least one")
    if array.shape[2] == 0:
        raise Error(f"{name} has no channels, expected at least one")
    if min(lengths) == 0:
        raise Error(f"{name}: sequence {lengths.index(0)} has no steps, expected at least one")
    finite = np.isfinite(array)
    if not finite.all():
        i, t, c = (int(k) for k in np.argwhere(~finite)[0])
        raise Error(
            f"{name}: sequence {i} is {array[i, t, c]} at step {t}, channel {c}, "
            "expected a finite number"
        )
    return array, lengths


def guessed_task(y: npt.NDArray[Any], every_step: bool) -> str:
    """Of whole numbers, truth values and texts: classes; several columns of 0 and 1: labels."""
    columns = y.ndim > (2 if every_step else 1) and y.shape[-1] > 1
    if y.dtype.kind == "f":
        return "regression"
    if columns and y.dtype.kind in "iub" and np.isin(y, (0, 1)).all():
        return "multi-label"
    return "classification"


def _target_array(y: Any, name: str, lengths: list[int], every_step: bool) -> npt.NDArray[Any]:
    """The targets as [sequences, width] or, with every_step, [sequences, steps, width]."""
    plain = 2 if every_step else 1
    if every_step and isinstance(y, (list, tuple)) and len(y) and np.ndim(y[0]) > 0:
        parts = [np.asarray(one) for one in y]
        for i, one in enumerate(y):
            _check_known(parts[i], one, f"{name}[{i}]")
        if len(parts) != len(lengths):
            raise Error(f"{name} has {len(parts)} sequences, but x has {len(lengths)}")
        for i, part in enumerate(parts):
            if part.ndim not in (1, 2) or part.shape[0] != lengths[i]:
                raise Error(
                    f"{name}[{i}] has the shape {part.shape}, expected one target for each of the "
                    f"{lengths[i]} steps of its sequence"
                )
        parts = [part[:, np.newaxis] if part.ndim == 1 else part for part in parts]
        if len({part.shape[1] for part in parts}) > 1:
            raise Error(f"{name}: sequences have different numbers of targets")
        kind = np.result_type(*(part.dtype for part in parts))
        array = np.zeros((len(parts), max(lengths), parts[0].shape[1]), kind)
        for row, part in zip(array, parts):
            row[: len(part)] = part
        return array
    try:
        array = np.asarray(y)
    except ValueError as error:
        raise Error(f"{name}: {error}") from None
    _check_known(array, y, name)
    if array.ndim not in (plain, plain + 1) or array.shape[0] != len(lengths):
        raise Error(
            f"{name} has the shape {array.shape}, expected one row for each of the "
            f"{len(lengths)} sequences"
        )
    if every_step and array.shape[1] != max(lengths):
        raise Error(
            f"{name} has the shape {array.shape}, expected one target for each of the "
            f"{max(lengths)} steps"
        )
    return array[..., np.newaxis] if array.ndim == plain else array


def _check_known(array: npt.NDArray[Any], given: Any, name: str) -> None:
    """Refuse targets with values that would be taken for something else."""
    if array.dtype.kind in "cSV":
        raise Error(f"{name} has the type {array.dtype}, expected real numbers or texts")
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise Error(f"{name} has masked values, expected a value everywhere")


def is_whole(name: str) -> bool:
    """Whether a class is called as an integer is written."""
    return name.lstrip("-").isdecimal() and name.count("-") == name.startswith("-") and (
        str(int(name)) == name
    )


@dataclass(frozen=True)
class Labels:
    """How classes were given. The library and its files know them by their names alone."""

    #: "text", "truth" or "number"; "": integers where all are written as such, else texts.
    kind: str = ""
    #: Texts by their names, where these differ: the library calls "01" and "02" 1 and 2.
    texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def like(cls, given: Iterable[Any], names: list[str]) -> Labels:
        """How these labels are given, of classes of these names; None and NaN are none."""
        if isinstance(given, np.ndarray) and given.dtype.kind in "biu":
            return cls("truth" if given.dtype.kind == "b" else "")
        labels = [label for label in given if _text(label)]
        kinds = {_kind_of_label(label) for label in labels}
        if len(kinds) != 1:
            return cls()
        kind = kinds.pop()
        return cls(kind, _written_otherwise({str(one) for one in labels}, names) if kind == "text" else {})

    def of(self, names: list[str]) -> npt.NDArray[Any]:
        """The classes of these names."""
        if self.kind == "text":
            return np.array([self.texts.get(name, name) for name in names])
        if self.kind == "truth" and set(names) <= {"0", "1"}:
            return np.array([name == "1" for name in names])
        if names and all(is_whole(name) for name in names):
            integers = [int(name) for name in names]
            small = all(-(2**63) <= number < 2**63 for number in integers)
            return np.array(integers, np.int64 if small else object)
        if self.kind == "number":
            return np.array([float(name) for name in names])
        return np.array(names)


def _kind_of_label(label: Any) -> str:
    if isinstance(label, str):
        return "text"
    if isinstance(label, (bool, np.bool_)):
        return "truth"
    return "" if isinstance(label, numbers.Integral) else "number"


def _written_otherwise(texts: set[str], names: list[str]) -> dict[str, str]:
    """The texts that are not their names, by these. Raises Error for two of one name."""
    found: dict[str, str] = {}
    for text in sorted(texts):
        name = text
        if text not in names:
            number = float(text)
            name = str(int(number))
            if name not in names:
                continue  # -1, no target of a step
        if name in found:
            raise Error(
                f"y has the classes {found[name]!r} and {text!r}, which are the same number"
            )
        found[name] = text
    return {name: text for name, text in found.items() if name != text}


def _text(label: Any) -> str:
    """The name of a class; "" for none. Raises Error for what is neither a number nor a text."""
    if label is None:
        return ""
    if isinstance(label, str):
        return plain_text(label)
    if isinstance(label, (numbers.Integral, np.bool_)):
        return str(int(label))
    if isinstance(label, numbers.Real):
        number = float(label)
        if math.isnan(number):
            return ""
        return str(int(number)) if number.is_integer() else repr(number)
    raise Error(f"a label is {shown(label)}, expected a number or a text")


def _texts(labels: Iterable[Any], name: str) -> list[str]:
    """The names of classes. Raises Error for different classes of one name, such as 1 and "1"."""
    texts: list[str] = []
    first: dict[str, bool] = {}  # whether the class was a text
    for label in labels:
        try:
            text = _text(label)
        except Error as error:
            raise Error(f"{name}: {error}") from None
        is_text = isinstance(label, str)
        if first.setdefault(text, is_text) != is_text and text:
            raise Error(f"{name} has {text} both as a number and as a text, expected one of them")
        texts.append(text)
    return texts


class _Part:
    """x and y of one part, checked."""

    def __init__(self, pair: Pair, name: str, every_step: bool) -> None:
        suffix = "" if name == "training data" else f" of the {name}"
        self.where = name
        self.x, self.lengths = as_sequences(pair[0], "x" + suffix)
        self.y = _target_array(pair[1], "y" + suffix, self.lengths, every_step)
        self.name = "y" + suffix

    def add_to(self, builder: _core.SeriesBuilder, names: list[str], every_step: bool) -> None:
        width = self.y.shape[-1]
        numbers = None
        texts: list[str] = []
        if self.y.dtype.kind in "fiub" and (
            self.y.dtype.kind != "i" and self.y.dtype.kind != "u" or _exact(self.y)
        ):
            values = np.ascontiguousarray(self.y, np.float64)
            wrong = np.isinf(values) if every_step else ~np.isfinite(values)
            if wrong.any():
                at = np.argwhere(wrong)[0]
                step = f" at step {at[1]}" if every_step else ""
                raise Error(
                    f"{self.name}: sequence {at[0]} is {values[tuple(at)]}{step}, expected a finite "
                    "number" + (", or NaN for a step without a target" if every_step else "")
                )
            numbers = values.reshape(-1, width)
        else:
            texts = _texts(self.y.reshape(-1).tolist(), self.name)
        builder.add(self.where, self.x, self.lengths, numbers, texts, width, names)


def _exact(y: npt.NDArray[Any]) -> bool:
    return y.size == 0 or (int(y.max()) < 2**53 and int(y.min()) > -(2**53))


@dataclass(frozen=True)
class Set:
    """Sequences as networks receive them, and their targets."""

    name: str
    x: Floats  #: [sequences, steps, channels], zero after the end of each sequence
    lengths: npt.NDArray[np.int64]  #: steps of each sequence
    #: [sequences, 1, width] or, with a target at every step, [sequences, steps, width], NaN where a
    #: step has none. Of classes: the index in ``classes``.
    targets: Floats
    classes: list[str]  #: names of the classes, labels or values
    speakers: list[str]  #: of recordings, where they are known

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class of each sequence, as an index of ``classes``."""
        if self.targets.size == 0:
            return np.zeros(len(self.targets), np.int64)
        labels: npt.NDArray[np.int64] = self.targets[:, 0, 0].astype(np.int64)
        return labels


@dataclass(frozen=True)
class Sets:
    """What the readers and front ends make of data."""

    train: Set
    validation: Set  #: held out of the training data, or a part of its own; may be empty
    test: Set
    notes: list[str]  #: what was left out or assumed


class Data:
    """Training data of a run, with validation and test data where there are any.

    Parameters
    ----------
    x
        Sequences: an array [sequences, steps, channels] or [sequences, steps], or a list of arrays
        [steps, channels] or [steps] of any lengths. Any real type; computed in float32.
    y
        Targets: [sequences] or [sequences, targets]; with ``every_step`` [sequences, steps] or
        [sequences, steps, targets], or a list of arrays as ``x``. Whole numbers and texts are
        classes, several columns of 0 and 1 are labels, and floats are values to be regressed,
        unless ``task`` says otherwise. At single steps NaN, None or "" is no target.
    validation, test
        A pair (x, y) each. Without ``validation``, a share ``train.validation`` of the training
        data is held out; without ``test``, nothing is tested.
    task : {"classification", "regression", "multi-label"}, optional
        None or "auto": by the targets.
    every_step
        Whether ``y`` has a target at every step, for models with ``readout="step"``.
    names
        Names of the target columns.

    Raises
    ------
    Error
        For arrays that are not real numbers or have the wrong shape, for values that are not
        finite, and for targets that do not fit the task.
    """

    @checked
    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        validation: Pair | None = None,
        test: Pair | None = None,
        task: str | None = None,
        every_step: bool = False,
        names: Sequence[str] | None = None,
    ) -> None:
        parts = [_Part((x, y), "training data", every_step)]
        if validation is not None:
            parts.append(_Part(validation, "validation data", every_step))
        if test is not None:
            parts.append(_Part(test, "test data", every_step))
        chosen = guessed_task(parts[0].y, every_step) if task in (None, "auto") else task
        builder = _core.SeriesBuilder(chosen, "step" if every_step else "sequence")
        for part in parts:
            part.add_to(builder, list(names or ()), every_step)
        self._memory: _core.Memory | None
        self._memory = memory = builder.build(True, validation is not None, test is not None)
        self._settings: Settings = [("data.task", chosen)]
        self._every_step = every_step
        self._labels = Labels("text" if names else "")
        if chosen == "classification":
            self._labels = Labels.like(
                np.concatenate([part.y.reshape(-1) for part in parts]), memory.classes
            )

    @classmethod
    def _of(cls, memory: _core.Memory | None, settings: Settings,
            labels: Labels = Labels()) -> Data:
        data = cls.__new__(cls)
        data._memory, data._settings, data._every_step = memory, settings, False
        data._labels = labels
        return data

    @classmethod
    @checked
    def read(cls, directory: Path_ | None = None, **settings: object) -> Data:
        """Data in files, which are read when they are used.

        Parameters
        ----------
        directory
            MNIST files, WAV or FLAC recordings, or series in CSV and NPZ files, as for ``--data``
            (docs/data.md); None: the built-in sample of 7,000 digits.
        **settings
            Settings of section ``data``: ``task``, ``train_limit``, ``layout``, ...
        """
        found = settings_of("data", settings)
        place = "" if directory is None else path_text(directory)
        if place:
            found.insert(0, ("data.directory", place))
        return cls._of(None, found)

    @classmethod
    @checked
    def recordings(
        cls,
        samples: Sequence[npt.ArrayLike],
        labels: Sequence[object],
        sample_rate: SampleRate,
        *,
        validation: Pair | None = None,
        test: Pair | None = None,
    ) -> Data:
        """Recordings in memory, which the front end (settings ``front_end__...``) turns into sequences.

        Parameters
        ----------
        samples
            One array [samples] per recording, with full scale 1.
        labels
            Class of each recording.
        sample_rate
            Hz, of all recordings.
        validation, test
            A pair (samples, labels) each.
        """
        parts: dict[str, tuple[Any, list[str]]] = {}
        for part, pair in (("train", (samples, labels)), ("validation", validation), ("test", test)):
            if pair is None:
                continue
            sounds = A_LIST.check(f"{part} samples", pair[0])
            texts = _texts(A_LIST.check(f"{part} labels", pair[1]), f"{part} labels")
            if len(sounds) != len(texts):
                raise Error(f"{len(texts)} labels of {len(sounds)} recordings")
            if "" in texts:
                raise Error(f"{part} recording {texts.index('')} has no label, expected one")
            parts[part] = sounds, texts
        names = {name for _, texts in parts.values() for name in texts}
        integers = all(is_whole(name) for name in names)
        classes = sorted(names, key=int) if integers else sorted(names)
        if len(classes) < 2:
            raise Error(f"{len(classes)} classes of recordings, expected at least two")
        builder = _core.RecordingsBuilder(sample_rate, classes)
        for part, (sounds, texts) in parts.items():
            for i, (sound, text) in enumerate(zip(sounds, texts)):
                name = f"{part} recording {i}"
                builder.add(part, name, as_samples(sound, name), classes.index(text), "")
        return cls._of(builder.build(), [], Labels.like(list(labels), classes))

    @checked
    def arrays(
        self,
        *,
        seed: Seed = 1,
        threads: Threads = 0,
        **settings: object,
    ) -> Sets:
        """What networks receive: sequences after the front end, split, with their targets.

        Parameters
        ----------
        seed
            Of the part held out.
        threads
            0: all cores.
        **settings
            Settings of section ``front_end`` for recordings, others as ``section__key``:
            ``train__validation=0``.
        """
        found = [*self._settings, ("run.seed", str(seed)), *settings_of("front_end", settings)]
        if self._every_step:
            found.append(("model.readout", "step"))
        read = _core.read_data(found, self._memory, "", threads)
        made = {
            part: Set(
                name=read[part]["name"],
                x=read[part]["x"],
                lengths=read[part]["lengths"],
                targets=read[part]["targets"],
                classes=read[part]["names"],
                speakers=read[part]["speakers"],
            )
            for part in ("train", "validation", "test")
        }
        return Sets(**made, notes=list(read["notes"]))


def as_samples(sound: Any, name: str) -> Floats:
    array = _numbers(sound, name)
    if array.ndim != 1:
        raise Error(f"{name} has {array.ndim} dimensions, expected one: samples")
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(samples).all():
        at = int(np.argmin(np.isfinite(samples)))
        raise Error(f"{name}: sample {at} is {samples[at]}, expected a finite number")
    return samples


class FrontEnd:
    """From samples to network input: log-mel energies or the decimated waveform.

    Parameters
    ----------
    sample_rate
        Hz.
    **settings
        Settings of section ``front_end``: ``bands``, ``hop``, ``kind``, ...
    """

    @checked
    def __init__(self, sample_rate: SampleRate, **settings: object) -> None:
        self._core = _core.FrontEnd(settings_of("front_end", settings), sample_rate)

    @property
    def features(self) -> int:
        """Values per frame."""
        return self._core.features

    @property
    def hop(self) -> int:
        """Samples between two frames."""
        return self._core.hop

    @checked
    def fit(self, samples: Sequence[npt.ArrayLike], *, threads: Threads = 0) -> FrontEnd:
        """Take mean and standard deviation of every feature from these recordings."""
        self._core.fit(
            [as_samples(one, f"recording {i}") for i, one in enumerate(samples)],
            threads,
        )
        return self

    @checked
    def transform(
        self, samples: Sequence[npt.ArrayLike], *, threads: Threads = 0
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Frames [recordings, frames, features], zero after the end of each, and their numbers."""
        made = self._core.transform(
            [as_samples(one, f"recording {i}") for i, one in enumerate(samples)],
            threads,
        )
        frames: Floats = made["x"]
        lengths: npt.NDArray[np.int64] = made["lengths"]
        return frames, lengths
