"""Sweeps and searches, and their results."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import Error
from ._model import Path_, _earlier
from ._progress import Hooks
from ._settings import path_text, settings_of, whole

if TYPE_CHECKING:
    from typing import Protocol

    class DataFrame(Protocol):
        """A pandas.DataFrame."""

        def __getitem__(self, key: Any) -> Any: ...


def sweep_records(directory: Path_) -> list[dict[str, Any]]:
    """The points of a sweep or search: name, status, error, settings by key, and metrics.

    Parameters
    ----------
    directory
        ``out`` of the sweep, with ``sweep.sqlite``. It may still be running.

    Returns
    -------
    list of dict
        One per point, ready for ``pandas.DataFrame``.

    Raises
    ------
    Error
        For a directory without results of a sweep.
    """
    import sqlite3  # not in every Python, and not needed to import the package

    file = Path(path_text(directory)) / "sweep.sqlite"
    if not file.is_file():
        raise Error(f"{file.parent}: is not a sweep directory, expected sweep.sqlite in it")
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        try:
            rows = database.execute("SELECT * FROM points ORDER BY point").fetchall()
        except sqlite3.DatabaseError as error:
            raise Error(f"{file}: {error}") from None
    records = []
    for row in rows:
        values = dict(row)
        config = json.loads(values.pop("config"))
        records.append({**values, **_flat(config)})
    return records


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, keys in config.items()
        if isinstance(keys, Mapping)
        for key, value in keys.items()
        if not isinstance(value, (Mapping, list))
    }


def read_sweep(directory: Path_) -> DataFrame:
    """:func:`sweep_records` as a pandas.DataFrame indexed by the names of the points."""
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        raise Error("read_sweep() needs pandas; sweep_records() does without") from None
    frame: DataFrame = pandas.DataFrame(sweep_records(directory)).set_index("point")
    return frame


def sweep(
    file: Path_,
    out: Path_,
    *,
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    retry_failed: bool = False,
    progress: bool | None = None,
    **settings: object,
) -> list[dict[str, Any]]:
    """Run the points of a sweep file (docs/sweeps.md).

    Parameters
    ----------
    file
        TOML file with [sweep] and [grid] or lists.
    out
        Directory of ``sweep.sqlite``, tables and ``report.html``.
    workers
        Concurrent points.
    resume, overwrite, retry_failed
        As the options of the command line.
    **settings
        ``section__key`` for all points: ``train__epochs=2``.

    Returns
    -------
    list of dict
        :func:`sweep_records`.
    """
    hooks = Hooks(None, progress)
    try:
        _core.sweep(
            path_text(file), settings_of("sweep", settings), path_text(out),
            _earlier(resume, overwrite), whole("workers", workers), retry_failed, hooks,
        )
    finally:
        hooks.bar.close()
    return sweep_records(out)


def search(
    out: Path_,
    *,
    config: Path_ | None = None,
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    retry_failed: bool = False,
    progress: bool | None = None,
    **settings: object,
) -> list[dict[str, Any]]:
    """Search bits and size under a memory budget, and train the best candidates (docs/sweeps.md).

    Parameters
    ----------
    out, workers, resume, overwrite, retry_failed
        As in :func:`sweep`.
    config
        TOML file of settings.
    **settings
        Settings of section ``search`` (``bytes``, ``generations``, ...); others as
        ``section__key``: ``data__directory="DIR"``.

    Returns
    -------
    list of dict
        :func:`sweep_records` of the trained candidates.
    """
    hooks = Hooks(None, progress)
    try:
        _core.search(
            settings_of("search", settings), path_text(config) if config is not None else "",
            path_text(out), _earlier(resume, overwrite), whole("workers", workers), retry_failed, hooks,
        )
    finally:
        hooks.bar.close()
    return sweep_records(out)
