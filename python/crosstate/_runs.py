"""A run of the library: where it works, and whom it tells about it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from . import _core
from ._arguments import Path_, path_text
from ._core import Error
from ._progress import Callback, Hooks


def earlier(resume: bool, overwrite: bool) -> str:
    """What becomes of an earlier run in the same directory."""
    if resume and overwrite:
        raise Error("resume and overwrite exclude each other")
    return "continue" if resume else "replace" if overwrite else "refuse"


@contextmanager
def temporary_directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="crosstate-") as directory:
        yield directory


@dataclass(frozen=True)
class Work:
    directory: str
    hooks: Hooks
    place: _core.Place  #: the same for the library

    def model(self, file: str) -> _core.Model:
        """A model that the run has written, without the name of a directory that may be
        temporary."""
        content = (Path(self.directory) / file).read_bytes()
        return _core.Model.from_bytes(content, "the model")


@contextmanager
def work(
    out: Path_ | None,
    threads: int,
    progress: bool | None,
    callback: Callback | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Iterator[Work]:
    """A run in the directory of the caller, or in one that is removed afterwards."""
    hooks = Hooks(callback, progress)
    chosen = earlier(resume, overwrite)
    place = temporary_directory() if out is None else nullcontext(path_text(out))
    with place as directory:
        try:
            yield Work(directory, hooks, _core.Place(directory, chosen, threads, hooks))
        finally:
            hooks.bar.close()
