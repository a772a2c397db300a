"""Sweeps and searches, and their results."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core
from ._arguments import Path_, Workers, checked, path_text
from ._core import Error
from ._model import Model
from ._progress import Hooks
from ._runs import earlier
from ._settings import settings_of

if TYPE_CHECKING:
    from typing import Protocol

    class DataFrame(Protocol):
        """A pandas.DataFrame."""

        def __getitem__(self, key: Any) -> Any: ...

        def set_index(self, keys: str) -> DataFrame: ...


@checked
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
    return _points(directory)[1]


def _points(directory: Path_) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of the table of points, and its rows as records."""
    import sqlite3  # not in every Python, and not needed to import the package

    file = Path(path_text(directory)) / "sweep.sqlite"
    if not file.is_file():
        raise Error(f"{file.parent}: is not a sweep directory, expected sweep.sqlite in it")
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        try:
            found = database.execute("SELECT * FROM points ORDER BY point")
            columns = [column for column, *_ in found.description]
            rows = [dict(zip(columns, row)) for row in found]
        except sqlite3.DatabaseError as error:
            raise Error(f"{file}: {error}") from None
    columns.remove("config")
    return columns, [
        {**{column: row[column] for column in columns}, **_flat(json.loads(row["config"]))}
        for row in rows
    ]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, keys in config.items()
        if isinstance(keys, Mapping)
        for key, value in keys.items()
        if not isinstance(value, (Mapping, list))
    }


@checked
def read_sweep(directory: Path_) -> DataFrame:
    """:func:`sweep_records` as a pandas.DataFrame indexed by the names of the points."""
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        raise Error("read_sweep() needs pandas; sweep_records() does without") from None
    columns, records = _points(directory)
    # Of a sweep without points yet, the columns are all there is.
    frame: DataFrame = pandas.DataFrame(records, columns=None if records else columns)
    return frame.set_index("point")


@checked
def sweep(
    file: Path_,
    out: Path_,
    *,
    workers: Workers = 1,
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
            earlier(resume, overwrite), workers, retry_failed, hooks,
        )
    finally:
        hooks.bar.close()
    return sweep_records(out)


@checked
def search(
    out: Path_,
    *,
    model: Model | None = None,
    target: Path_ | None = None,
    config: Path_ | None = None,
    workers: Workers = 1,
    resume: bool = False,
    overwrite: bool = False,
    retry_failed: bool = False,
    progress: bool | None = None,
    **settings: object,
) -> list[dict[str, Any]]:
    """Search bits and size under a memory budget, and train the best candidates; or, with ``model``
    and ``target``, the design of a chip for a trained network (docs/sweeps.md).

    Parameters
    ----------
    out, workers, resume, overwrite, retry_failed
        As in :func:`sweep`.
    model
        A quantized or integer model, for which the chip is designed.
    target
        Hardware target of chips, with ``model``: one of :func:`target_names` or a TOML file.
    config
        TOML file of settings.
    **settings
        Settings of section ``search`` (``bytes``, ``generations``, ...); others as
        ``section__key``: ``data__directory="DIR"``. With ``target``: ``digital``, ``arrays``,
        ``adc_bits``, ``converters``, ``slices``, ``packing``, ``residue_bits``, ``chips``, ``age``,
        ``energy`` in nJ, ``area`` in mm2, ``technology``, ``cost__idle``, ...

    Returns
    -------
    list of dict
        :func:`sweep_records` of the trained candidates. With ``target`` every design that was
        considered: ``settings`` of its arrays, which other functions take as ``crossbar__key``,
        the choices, ``front`` (whether no other design beats it in energy, area and accuracy), and either
        ``unfit``, a reason, or energy in nJ, area in mm2 and latency in us, each ``low``,
        ``typical`` and ``high``; of simulated designs also the mean, deviation and values by chip
        of the primary metric (``accuracy``).

    Raises
    ------
    Error
        For settings that do not fit, for ``model`` without ``target`` and the reverse, and if no
        design fits.
    """
    if (model is None) != (target is None):
        raise Error("model and target belong together: a chip is designed for a trained network")
    if target is not None and retry_failed:
        raise Error("retry_failed has no effect with target, with which nothing is trained")
    hooks = Hooks(None, progress)
    wanted = settings_of("search", settings)
    file = path_text(config) if config is not None else ""
    try:
        if model is not None and target is not None:
            found: list[dict[str, Any]] = json.loads(
                _core.search_design(
                    model._fitted(), path_text(target), wanted, file, path_text(out),
                    earlier(resume, overwrite), workers, hooks,
                )
            )["designs"]
            return found
        _core.search(
            wanted, file, path_text(out), earlier(resume, overwrite), workers, retry_failed, hooks,
        )
    finally:
        hooks.bar.close()
    return sweep_records(out)
