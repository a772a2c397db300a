"""Estimators for scikit-learn (``pip install crosstate[sklearn]``).

:class:`S4DClassifier` and :class:`S4DRegressor` train an S4D network on sequences and, with
``quantize``, return its quantized form, so that scores are those of the deployed network. They
work with :func:`sklearn.base.clone`, :class:`~sklearn.pipeline.Pipeline` and
:class:`~sklearn.model_selection.GridSearchCV`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:  # pragma: no cover
    raise ImportError(
        "crosstate.sklearn needs scikit-learn 1.6 or later: pip install 'crosstate[sklearn]'"
    ) from error

from ._arguments import kinds_of
from ._model import Model

__all__ = ["S4DClassifier", "S4DRegressor"]

_LAYOUTS = ("time_channels", "channels_time")


def _from_table(X: Any) -> Any:
    """A table of pandas as sktime has it, as a list of arrays [time, channels]; others unchanged.

    Either its rows are indexed by sequence and time (``pd-multiindex``), or its cells are series
    (``nested_univ``).
    """
    if not hasattr(X, "iloc") or not hasattr(X, "index"):
        return X
    if getattr(X.index, "nlevels", 1) == 2:
        frame = X.to_frame() if X.ndim == 1 else X
        groups = frame.groupby(level=0, sort=False)
        return [np.asarray(sequence, np.float64) for _, sequence in groups]
    if X.ndim == 2 and len(X) > 0 and np.ndim(X.iloc[0, 0]) == 1:
        sequences = []
        for number, row in enumerate(X.itertuples(index=False, name=None)):
            cells = [np.asarray(cell, np.float64) for cell in row]
            if len({cell.shape for cell in cells}) > 1:
                raise ValueError(f"X: the channels of sequence {number} have different lengths")
            sequences.append(np.stack(cells, axis=1))
        return sequences
    return X


class _S4D(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share."""

    _task = ""

    def __init__(
        self,
        *,
        channels: int = 16,
        states: int = 16,
        layers: int = 2,
        epochs: int = 20,
        batch: int = 32,
        learning_rate: float = 0.01,
        quantize: str | None = None,
        qat_epochs: int = 0,
        layout: str = "time_channels",
        settings: dict[str, Any] | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.channels = channels
        self.states = states
        self.layers = layers
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.quantize = quantize
        self.qat_epochs = qat_epochs
        self.layout = layout
        self.settings = settings
        self.random_state = random_state
        self.n_jobs = n_jobs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _sequences(self, X: Any, reset: bool) -> Any:
        """An array [n, time, channels], or a list of arrays [time, channels]."""
        if self.layout not in _LAYOUTS:
            raise ValueError(f"layout = {self.layout!r}, expected one of {', '.join(_LAYOUTS)}")
        table = _from_table(X)
        turned = self.layout == "channels_time" and table is X
        X = table
        ragged = isinstance(X, (list, tuple)) and len(X) > 0 and np.ndim(X[0]) == 2
        if ragged or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
            parts = [check_array(x, dtype=np.float32, ensure_min_samples=1) for x in X]
            sequences: Any = [x.T if turned else x for x in parts]
            features = sequences[0].shape[1]
        else:
            array = check_array(X, dtype=np.float32, allow_nd=True, estimator=self)
            if array.ndim > 3:
                raise ValueError(f"X has {array.ndim} dimensions, expected [n, time, channels], or "
                                 "[n, time] for one channel")
            if array.ndim == 2:
                features = array.shape[1]
            else:
                array = array.transpose(0, 2, 1) if turned else array
                features = array.shape[2]
            sequences = array
        if reset:
            self.n_features_in_ = features
        elif features != self.n_features_in_:
            raise ValueError(f"X has {features} features, but {type(self).__name__} is expecting "
                             f"{self.n_features_in_} features as input")
        return sequences

    def _training(self, X: Any, y: Any) -> Any:
        """The sequences of training data, which have as many targets."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is "
                             "None")
        sequences = self._sequences(X, reset=True)
        if len(sequences) < 2:
            raise ValueError("X has 1 sample, expected at least two")
        check_consistent_length(sequences, y)
        return sequences

    def _train(self, X: Any, y: npt.NDArray[Any]) -> None:
        """Trains on sequences and targets as the model takes them."""
        for name, kind in kinds_of(_S4D.__init__).items():
            kind.check(name, getattr(self, name))
        seed = 1
        if self.random_state is not None:
            seed = (int(self.random_state) if isinstance(self.random_state, (int, np.integer))
                    else int(check_random_state(self.random_state).randint(2**31 - 1)))
        shared: dict[str, Any] = {
            "task": self._task,
            "seed": seed,
            "threads": 0 if self.n_jobs == -1 else max(1, self.n_jobs or 1),
            "progress": False,
        }
        more = dict(self.settings or {})
        options = {key: more.pop(key) for key in list(more) if key.startswith("model.")}
        model = Model(channels=self.channels, states=self.states, layers=self.layers, **options)
        data = {key: value for key, value in more.items() if key.startswith("data.")}
        train = {key: value for key, value in more.items() if key.startswith("train.")}
        rounding = {key: value for key, value in more.items()
                    if key not in data and key not in train}
        if rounding and self.quantize is None:
            raise ValueError(f"settings: {', '.join(rounding)} only take effect with quantize")
        model.fit(X, y, epochs=self.epochs, batch=min(self.batch, len(y)),
                  learning_rate=self.learning_rate, **shared, **data, **train)
        if self.quantize is not None:
            preset = None if self.quantize == "search" else self.quantize
            if self.qat_epochs > 0:
                model = model.qat(X, y, preset=preset, epochs=self.qat_epochs,
                                  batch=min(self.batch, len(y)), **shared, **rounding)
            else:
                model = model.quantize(X, y, preset=preset, **shared, **rounding)
        elif self.qat_epochs > 0:
            raise ValueError("qat_epochs only takes effect with quantize, such as 'w8a8s8'")
        self.model_ = model

    def _predicting(self, X: Any) -> tuple[Model, Any]:
        check_is_fitted(self, "model_")
        return self.model_, self._sequences(X, reset=False)


_PARAMETERS = """
    Parameters
    ----------
    channels, states, layers : int
        Size of the network: width, states per channel, blocks.
    epochs, batch : int
        Passes over the data, and sequences per step of the optimizer.
    learning_rate : float
    quantize : str, optional
        None: a float network. A format such as "w8a8s8" (``quant.preset``): the network in that
        format. "search": the cheapest format that loses little (docs/quantization.md).
    qat_epochs : int
        With ``quantize`` and a format: epochs of training with quantization. 0: none, the network
        is rounded after training.
    layout : {"time_channels", "channels_time"}
        Order of the dimensions of 3-D input. "time_channels": [n, time, channels], as the rest of
        this package; "channels_time": [n, channels, time], as aeon and sktime (numpy3D) have it.
        Tables of pandas say it themselves.
    settings : dict, optional
        More settings by key: ``{"model.norm": "layer", "train.dropout": 0.1}``.
    random_state : int, RandomState instance or None
        Seed; None: 1, so that equal calls give equal results.
    n_jobs : int, optional
        Threads; None: 1, -1: all cores. The result does not depend on it.

    Attributes
    ----------
    model_ : crosstate.Model
        The network, for everything else that the package does with it.
    n_features_in_ : int
        Channels; of 2-D input, time steps.
"""


class S4DClassifier(ClassifierMixin, _S4D):  # type: ignore[misc]
    __doc__ = f"""Classifier of sequences.
{_PARAMETERS}
    classes_ : array
        Classes, sorted.

    Notes
    -----
    ``X`` is [n, time, channels], [n, time] with one channel, a list of arrays [time, channels]
    of different lengths, or a table of pandas as sktime has it; ``y`` is [n] of any labels.
    """

    _task = "classification"

    def fit(self, X: Any, y: Any) -> S4DClassifier:
        """Train on sequences and their classes. Returns the estimator."""
        sequences = self._training(X, y)
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{len(self.classes_)} class in y, expected at least two classes")
        self._train(sequences, codes)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the classes, [n]."""
        model, sequences = self._predicting(X)
        predicted: npt.NDArray[Any] = self.classes_[model.predict(sequences)]
        return predicted

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes, [n, classes]."""
        model, sequences = self._predicting(X)
        probabilities: npt.NDArray[np.float64] = model.predict_proba(sequences)
        return probabilities


class S4DRegressor(RegressorMixin, _S4D):  # type: ignore[misc]
    __doc__ = f"""Regressor of sequences: one value per sequence, or several.
{_PARAMETERS}
    Notes
    -----
    ``X`` is [n, time, channels], [n, time] with one channel, a list of arrays [time, channels]
    of different lengths, or a table of pandas as sktime has it; ``y`` is [n] or [n, values].
    """

    _task = "regression"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> S4DRegressor:
        """Train on sequences and their values. Returns the estimator."""
        sequences = self._training(X, y)
        values = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        self._train(sequences, values)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the values, [n] or [n, values]."""
        model, sequences = self._predicting(X)
        predicted: npt.NDArray[np.float64] = model.predict(sequences)
        return predicted
