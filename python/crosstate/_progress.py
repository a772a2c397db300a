"""The progress of long calls, in a terminal and in a notebook."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from . import _core


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


def _in_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def _columns() -> int:
    """The width of the terminal, in which a longer line would not be updated in place but begin anew
    with every update."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (AttributeError, OSError, ValueError):
        return 80


def _write(text: str) -> None:
    """Write to standard error, which programs without a console (pythonw) do not have."""
    if sys.stderr is None or getattr(sys.stderr, "closed", False):
        return
    sys.stderr.write(text)
    sys.stderr.flush()


class Bar:
    """A line that is updated in place: ``float 3/20 |#####     | 52% loss 0.31 accuracy 0.9``."""

    width = 20

    def __init__(self, wanted: bool | None) -> None:
        self.notebook = in_notebook()
        terminal = _in_terminal()
        self.shown = (self.notebook or terminal) if wanted is None else wanted
        self.in_place = terminal
        self.open = False
        self.kept = ""  # what remains in the end
        self.last = ""
        self.display: Any = None

    def line(self, p: TrainProgress) -> str:
        share = p.done / p.samples if p.samples else 1.0
        epoch = f"{p.stage} {p.epoch}/{p.epochs} "
        text = f"{100 * share:3.0f}% loss {p.loss:.4f} {p.metric_name} {p.metric:.4f}"
        validation = p.log.get("validation_" + p.metric_name, p.log.get("validation_metric"))
        if isinstance(validation, float) and not math.isnan(validation):
            text += f" validation {validation:.4f}"
        left, rate = f" [{_clock(p.seconds_left)} left", f", {p.samples_per_second:.0f}/s"
        # In a narrow terminal, the rate and then the bar are left out.
        width = self.width
        if self.in_place and not self.notebook:
            room = _columns() - 1 - len(epoch + "|| " + text + left + "]")
            if room < width + len(rate):
                rate = ""
                width = min(width, room)
        if width >= 5:
            filled = round(width * share)
            epoch += "|" + "#" * filled + " " * (width - filled) + "| "
        return f"{epoch}{text}{left}{rate}]"

    def progress(self, p: TrainProgress) -> None:
        if self.shown and (self.notebook or self.in_place or p.epoch_end):
            self.say(self.line(p), keep=True)

    def say(self, text: str, keep: bool = False) -> None:
        """Show the line in place of the last one. What is not kept is gone in the end."""
        if not self.shown:
            return
        self.last = text
        if keep:
            self.kept = text
        if self.notebook:
            self._show_in_notebook(text)
        elif self.in_place:
            _write("\r\x1b[K" + text[: _columns() - 1])
            self.open = True
        else:
            _write(text + "\n")

    def _show_in_notebook(self, text: str) -> None:
        display = importlib.import_module("IPython.display").display
        shown = {"text/plain": text}
        if self.display is None:
            self.display = display(shown, raw=True, display_id=True)
        else:
            self.display.update(shown, raw=True)

    def close(self) -> None:
        if self.last != self.kept and (self.notebook or self.in_place):
            self.say(self.kept, keep=True)
        if self.open and self.kept:
            _write("\n")
        self.open = False


def user_level() -> int:
    """The stacklevel at which a function of this module warns the first caller outside of the
    package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    return level


class Hooks:
    """What the library calls during a run."""

    def __init__(self, callback: Callback | None, progress: bool | None) -> None:
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
        warnings.warn(note, Note, stacklevel=user_level())

    def best(self, model: _core.Model) -> None:
        self.best_model = model

    def point(self, task: str, finished: int, points: int, error: str) -> None:
        self.bar.say(f"{finished}/{points} {task}" + (f": {error}" if error else ""), keep=True)
