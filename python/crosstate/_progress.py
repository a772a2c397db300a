"""The progress of long calls, in a terminal and in a notebook."""

from __future__ import annotations

import importlib
import json
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from . import _core
from ._core import Error


class Note(UserWarning):
    """What was left out or assumed when data were read."""


@dataclass(frozen=True)
class TrainProgress:
    """Progress of a training stage, as callbacks receive it."""

    stage: str  #: "float" or "qat"; with several formats also the format
    epoch: int  #: from 1
    epochs: int
    done: int  #: training sequences of this epoch so far
    samples: int  #: training sequences of this epoch
    loss: float  #: mean over the sequences done
    batch_loss: float  #: of the last batch; of every one with ``log_every=1``
    metric: float  #: primary metric over the sequences done
    metric_name: str  #: "accuracy"
    samples_per_second: float
    seconds_left: float  #: of the stage, estimated
    epoch_end: bool  #: the epoch was validated and saved; ``log`` is set
    last: bool  #: no epoch follows
    log: dict[str, Any] = field(default_factory=dict)  #: results of the epoch


_FIELDS = [one.name for one in fields(TrainProgress) if one.name != "log"]

Callback = Callable[[TrainProgress], object]


def _clock(seconds: float) -> str:
    whole = max(0, round(seconds))
    text = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{text}" if whole >= 3600 else text


def in_notebook() -> bool:
    """Whether a Jupyter kernel displays what this process shows."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class Bar:
    """A line that is updated in place: ``float 3/20 |#####     | 52% loss 0.31 accuracy 0.9``."""

    width = 20

    def __init__(self, wanted: bool | None) -> None:
        self.notebook = in_notebook()
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self.shown = (self.notebook or terminal) if wanted is None else wanted
        self.in_place = terminal
        self.open = False
        self.display: Any = None

    def line(self, p: TrainProgress) -> str:
        share = p.done / p.samples if p.samples else 1.0
        filled = round(self.width * share)
        bar = "#" * filled + " " * (self.width - filled)
        text = (
            f"{p.stage} {p.epoch}/{p.epochs} |{bar}| {100 * share:3.0f}% "
            f"loss {p.loss:.4f} {p.metric_name} {p.metric:.4f}"
        )
        validation = p.log.get("validation_" + p.metric_name, p.log.get("validation_metric"))
        if isinstance(validation, float) and not math.isnan(validation):
            text += f" validation {validation:.4f}"
        return f"{text} [{_clock(p.seconds_left)} left, {p.samples_per_second:.0f}/s]"

    def progress(self, p: TrainProgress) -> None:
        if self.shown and (self.notebook or self.in_place or p.epoch_end):
            self.say(self.line(p))

    def say(self, text: str) -> None:
        if not self.shown:
            return
        if self.notebook:
            self._show_in_notebook(text)
        elif self.in_place:
            sys.stderr.write("\r\x1b[K" + text)
            sys.stderr.flush()
            self.open = True
        else:
            sys.stderr.write(text + "\n")

    def _show_in_notebook(self, text: str) -> None:
        display = importlib.import_module("IPython.display").display
        shown = {"text/plain": text}
        if self.display is None:
            self.display = display(shown, raw=True, display_id=True)
        else:
            self.display.update(shown, raw=True)

    def close(self) -> None:
        if self.open:
            sys.stderr.write("\n")
            self.open = False


class Hooks:
    """What the library calls during a run."""

    def __init__(self, callback: Callback | None, progress: bool | None) -> None:
        if callback is not None and not callable(callback):
            raise Error(f"callback is {callback!r}, expected a function")
        self.callback = callback
        self.bar = Bar(progress)
        self.history: list[dict[str, Any]] = []
        self.best_model: _core.Model | None = None

    def progress(self, *values: Any) -> bool:
        log = json.loads(values[-1]) or {}
        state = TrainProgress(**dict(zip(_FIELDS, values)), log=log)
        if state.epoch_end:
            self.history.append(log)
        self.bar.progress(state)
        if self.callback is None:
            return False
        wanted = self.callback(state)
        return isinstance(wanted, (bool, np.bool_)) and bool(wanted)

    def stage(self, what: str) -> None:
        self.bar.say(what + " ...")

    def note(self, note: str) -> None:
        self.bar.close()
        warnings.warn(note, Note, stacklevel=4)

    def best(self, model: _core.Model) -> None:
        self.best_model = model

    def point(self, task: str, finished: int, points: int, error: str) -> None:
        self.bar.say(f"{finished}/{points} {task}" + (f": {error}" if error else ""))
