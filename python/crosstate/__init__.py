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
from ._core import Error
from ._data import Data, FrontEnd, Set, Sets
from ._model import Description, Model, Run, Stream, load, train
from ._program import data_directory
from ._progress import Note, TrainProgress
from ._settings import settings

__version__: str = _core.version
_data_directory = data_directory()
if _data_directory is not None:
    _core.search_shipped_in(str(_data_directory))

__all__ = [
    "Data",
    "Description",
    "Error",
    "FrontEnd",
    "Model",
    "Note",
    "Run",
    "Set",
    "Sets",
    "Stream",
    "TrainProgress",
    "load",
    "settings",
    "train",
]
