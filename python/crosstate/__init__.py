"""Quantized state-space models (S4D) and the memristive crossbars that run them.

    import crosstate

    model = crosstate.Model(channels=16, states=16, layers=2)
    model.fit(x_train, y_train, epochs=10)
    small = model.quantize(x_train, y_train)
    crosstate.simulate(small, x_test, y_test, target="taox-64x64", chips=5)

Settings are keywords: those of the command line and of TOML files, without their section where a
function has one, and ``section__key`` elsewhere; :func:`settings` lists them. Errors are
:class:`Error`, a ValueError with the message of the command line.
"""

from . import _core
from ._chips import (
    Array,
    Cells,
    Device,
    Mapping,
    OwnChip,
    Records,
    device_models,
    map_model,
    simulate,
    target_names,
    target_settings,
)
from ._core import Error
from ._cost import cost, peers, technologies
from ._data import Data, FrontEnd, Set, Sets
from ._model import Description, Model, Run, Stream, load, train
from ._program import data_directory
from ._progress import Note, TrainProgress
from ._search import read_sweep, search, sweep, sweep_records
from ._settings import settings

Error.__module__ = __name__
__version__: str = _core.version
_data_directory = data_directory()
if _data_directory is not None:
    _core.search_shipped_in(str(_data_directory))

__all__ = [
    "Array",
    "Cells",
    "Data",
    "Description",
    "Device",
    "Error",
    "FrontEnd",
    "Mapping",
    "Model",
    "Note",
    "OwnChip",
    "Records",
    "Run",
    "Set",
    "Sets",
    "Stream",
    "TrainProgress",
    "cost",
    "device_models",
    "load",
    "map_model",
    "peers",
    "read_sweep",
    "search",
    "settings",
    "simulate",
    "sweep",
    "sweep_records",
    "target_names",
    "target_settings",
    "technologies",
    "train",
]
