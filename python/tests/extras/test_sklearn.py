"""The estimators of crosstate.sklearn."""

import pickle
import re
from unittest import SkipTest

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

import crosstate  # noqa: E402
from crosstate.sklearn import S4DClassifier, S4DRegressor  # noqa: E402

pytestmark = pytest.mark.extras

TINY = {"channels": 4, "states": 4, "layers": 1, "epochs": 6, "batch": 16}


def waves(n=48, time=20, channels=2, seed=0):
    """Sequences whose class is their frequency, and whose value is their amplitude."""
    random = np.random.default_rng(seed)
    label = np.arange(n) % 2
    amplitude = random.uniform(0.5, 1.5, n)
    phase = random.uniform(0, 2 * np.pi, (n, 1))
    t = np.arange(time)
    wave = amplitude[:, None] * np.sin((0.3 + 1.2 * label[:, None]) * t + phase)
    x = np.stack([wave] + [random.normal(0, 0.1, (n, time))] * (channels - 1), axis=2)
    return x, label, amplitude


def test_classifier_learns_labels_of_any_kind():
    x, label, _ = waves(120)
    names = np.array(["slow", "fast"])[label]
    model = S4DClassifier(**{**TINY, "channels": 8, "epochs": 40}, learning_rate=0.02).fit(x, names)
    assert model.classes_.tolist() == ["fast", "slow"]
    assert model.score(x, names) > 0.9
    p = model.predict_proba(x)
    assert p.shape == (120, 2) and np.allclose(p.sum(axis=1), 1)
    assert (model.classes_[p.argmax(axis=1)] == model.predict(x)).all()
    assert model.n_features_in_ == 2


def test_regressor_learns_one_value_or_several():
    x, _, amplitude = waves()
    one = S4DRegressor(**{**TINY, "epochs": 20}, learning_rate=0.02).fit(x, amplitude)
    assert one.predict(x).shape == (48,)
    assert one.score(x, amplitude) > 0.5
    two = S4DRegressor(**TINY).fit(x, np.stack([amplitude, -amplitude], axis=1))
    assert two.predict(x).shape == (48, 2)


def test_layouts_and_ragged_input_are_the_same_sequences():
    x, label, _ = waves()
    expected = S4DClassifier(**TINY).fit(x, label).predict_proba(x)
    turned = x.transpose(0, 2, 1)
    aeon = S4DClassifier(**TINY, layout="channels_time").fit(turned, label)
    assert np.array_equal(aeon.predict_proba(turned), expected)
    ragged = S4DClassifier(**TINY).fit(list(x), label)
    assert np.array_equal(ragged.predict_proba(list(x)), expected)
    assert ragged.predict([x[0], x[1, :9]]).shape == (2,)
    assert np.array_equal(aeon.predict_proba([s.T for s in x]), expected)


def test_input_as_sktime_has_it():
    pandas = pytest.importorskip("pandas")
    x, label, _ = waves()
    expected = S4DClassifier(**TINY).fit(x, label).predict_proba(x)
    # pd-multiindex: rows by sequence and time. nested_univ: cells that are series.
    index = pandas.MultiIndex.from_product([range(len(x)), range(x.shape[1])])
    rows = pandas.DataFrame(x.reshape(-1, x.shape[2]), index=index, columns=["a", "b"])
    nested = pandas.DataFrame({name: [pandas.Series(one[:, k]) for one in x]
                               for k, name in enumerate("ab")})
    for layout in ("time_channels", "channels_time"):
        for table in (rows, nested):
            model = S4DClassifier(**TINY, layout=layout).fit(table, label)
            assert np.array_equal(model.predict_proba(table), expected)
    ragged = nested.copy()
    ragged.iat[1, 0], ragged.iat[1, 1] = (pandas.Series(x[1, :9, k]) for k in (0, 1))
    assert model.predict(ragged).shape == (48,)
    ragged.iat[1, 1] = pandas.Series(x[1, :5, 1])
    with pytest.raises(ValueError, match="the channels of sequence 1 have different lengths"):
        model.predict(ragged)


@pytest.mark.filterwarnings("ignore")  # of the packages
def test_data_of_aeon_and_sktime():
    """With the generators of the packages themselves, where they are installed."""
    aeon = pytest.importorskip("aeon.testing.data_generation")
    x, label = aeon.make_example_3d_numpy(n_cases=20, n_channels=2, n_timepoints=16, random_state=1)
    model = S4DClassifier(**TINY, layout="channels_time").fit(x, label)
    assert model.n_features_in_ == 2 and model.predict(x).shape == (20,)
    ragged, label = aeon.make_example_3d_numpy_list(n_cases=20, n_channels=2, random_state=1)
    assert S4DClassifier(**TINY, layout="channels_time").fit(ragged, label).predict(ragged).shape == (20,)


@pytest.mark.filterwarnings("ignore")
def test_tables_of_sktime():
    panel = pytest.importorskip("sktime.utils._testing.panel")
    convert = pytest.importorskip("sktime.datatypes").convert_to
    nested, label = panel.make_classification_problem(n_instances=20, n_columns=2, random_state=1)
    numpy3d = convert(nested, "numpy3D")
    expected = S4DClassifier(**TINY, layout="channels_time").fit(numpy3d, label).predict_proba(numpy3d)
    for kind in ("nested_univ", "pd-multiindex"):
        table = convert(nested, kind)
        model = S4DClassifier(**TINY).fit(table, label)
        assert np.array_equal(model.predict_proba(table), expected), kind


@pytest.mark.parametrize("kind", ["loky", "threading"])
@pytest.mark.filterwarnings("ignore")  # of the workers' start
def test_data_and_models_in_the_processes_of_joblib(kind):
    joblib = pytest.importorskip("joblib")
    x, label, _ = waves()
    data = crosstate.Data(x, label, test=(x, label))
    with joblib.parallel_config(backend=kind, n_jobs=2):
        search = GridSearchCV(S4DClassifier(**TINY), {"channels": [2, 4]}, cv=2).fit(x, label)
        scores = joblib.Parallel()(joblib.delayed(trained_score)(data, seed) for seed in (1, 2))
    alone = GridSearchCV(S4DClassifier(**TINY), {"channels": [2, 4]}, cv=2).fit(x, label)
    assert np.array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert scores == [trained_score(data, seed) for seed in (1, 2)]


def trained_score(data, seed):
    model = crosstate.Model(channels=2, states=2, layers=1)
    return model.fit(data, epochs=1, batch=16, seed=seed, threads=1).score(data)


def test_equal_seeds_give_equal_results_whatever_the_threads():
    x, label, _ = waves()
    one = S4DClassifier(**TINY, random_state=3).fit(x, label)
    other = S4DClassifier(**TINY, random_state=3, n_jobs=2).fit(x, label)
    assert np.array_equal(one.predict_proba(x), other.predict_proba(x))
    third = S4DClassifier(**TINY, random_state=4).fit(x, label)
    assert not np.array_equal(one.predict_proba(x), third.predict_proba(x))


@pytest.mark.parametrize("more", [{"quantize": "w8a8s8"}, {"quantize": "search"},
                                  {"quantize": "w4a8s8", "qat_epochs": 2}])
def test_quantized_networks_are_what_is_scored(more):
    x, label, _ = waves()
    model = S4DClassifier(**TINY, learning_rate=0.02, **more).fit(x, label)
    assert model.model_.quantized
    assert model.score(x, label) == model.model_.evaluate(x, label)["accuracy"]


def test_clone_pickle_pipeline_and_grid_search():
    x, label, _ = waves()
    model = S4DClassifier(**TINY, settings={"train.weight_decay": 0.02})
    assert clone(model).get_params() == model.get_params()
    model.fit(x, label)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))

    scaled = make_pipeline(FunctionTransformer(lambda a: a / 2), S4DClassifier(**TINY))
    assert cross_val_score(scaled, x, label, cv=2).shape == (2,)
    flat = make_pipeline(StandardScaler(), S4DClassifier(**TINY)).fit(x[:, :, 0], label)
    assert flat.predict(x[:, :, 0]).shape == (48,)

    search = GridSearchCV(S4DClassifier(**TINY), {"channels": [2, 4], "quantize": [None, "w8a8s8"]},
                          cv=2).fit(x, label)
    assert len(search.cv_results_["params"]) == 4
    assert search.predict(x).shape == (48,)


@pytest.mark.parametrize("change, says", [
    ({"layout": "time"}, "layout = 'time', expected one of time_channels, channels_time"),
    ({"channels": 0}, "model.channels = 0"),
    ({"settings": {"model.nrom": "batch"}}, "model.norm"),
    ({"settings": {"quant.weight.bits": 4}}, "only take effect with quantize"),
    ({"qat_epochs": 3}, "only takes effect with quantize"),
    ({"channels": "4"}, "channels = '4', expected a whole number"),
    ({"quantize": 5}, "quantize = 5, expected a text, or None"),
    ({"settings": [1]}, "settings = [1], expected a dictionary, or None"),
    ({"settings": {1: 2}}, "settings: a key = 1, expected a text"),
])
def test_bad_parameters_are_one_clear_error(change, says):
    x, label, _ = waves()
    with pytest.raises(ValueError, match=re.escape(says)):
        S4DClassifier(**{**TINY, **change}).fit(x, label)


def test_bad_input_is_one_clear_error():
    x, label, _ = waves()
    model = S4DClassifier(**TINY)
    with pytest.raises(NotFittedError):
        model.predict(x)
    with pytest.raises(ValueError, match="4 dimensions"):
        model.fit(x[..., None], label)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(x > 1, np.nan, x), label)
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(x, label[:5])
    model.fit(x, label)
    with pytest.raises(ValueError, match="3 features, but S4DClassifier is expecting 2"):
        model.predict(np.zeros((2, 5, 3)))


# Checks of scikit-learn that do not apply. All others pass, on tables [n, features], which are taken
# as sequences of one channel.
EXPECTED_FAILURES = {
    "S4DClassifier": {},
    "S4DRegressor": {
        "check_regressors_train": "expects R2 > 0.5 on a table whose target depends on single "
        "columns; a network whose outputs are means over time does not tell steps apart",
    },
}


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # some checks provoke warnings
@pytest.mark.parametrize("kind", [S4DClassifier, S4DRegressor])
def test_checks_of_scikit_learn(kind):
    estimator = kind(**{**TINY, "epochs": 30}, learning_rate=0.02)
    expected = EXPECTED_FAILURES[kind.__name__]
    unexpected, passed = {}, 0
    for tested, check in estimator_checks_generator(estimator):
        name = check.func.__name__
        try:
            check(tested)
            passed += 1
        except SkipTest:
            pass
        except Exception as error:  # noqa: BLE001
            if name not in expected:
                unexpected[name] = f"{type(error).__name__}: {error}"
    assert not unexpected
    assert passed > 40
