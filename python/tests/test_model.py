"""Models: options, training, prediction, streams, files."""

from __future__ import annotations

import copy
import json
import pickle
import resource
from pathlib import Path
from typing import Any

import crosstate
import numpy as np
import pytest
from conftest import SHORT, SMALL, sines


def test_predicts_classes_as_they_were_given(model: crosstate.Model, test_xy: Any) -> None:
    x, y = test_xy
    predicted = model.predict(x)
    assert predicted.dtype.kind == "i" and predicted.shape == (32,)
    assert (predicted == y).mean() >= 0.9
    assert model.evaluate(x, y)["accuracy"] == (predicted == y).mean() == model.score(x, y)
    shares = model.predict_proba(x)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (model.classes[shares.argmax(axis=1)] == predicted).all()


def test_names_are_classes(xy: Any) -> None:
    x, y = xy
    names = np.array(["slow", "fast"])[y]
    model = crosstate.Model(**SMALL).fit(x, names, **SHORT)
    assert list(model.classes) == ["fast", "slow"]
    assert set(model.predict(x)) <= {"fast", "slow"}
    with pytest.raises(crosstate.Error, match="'medium' is not one of the model: fast, slow"):
        model.evaluate(x[:2], ["slow", "medium"])


@pytest.mark.parametrize("labels", [
    ("0", "1"), ("01", "02"), (" 7", "1e3"), ("7", "b"), (False, True), (0.5, 1.5), (3, 7), (np.int8(-1), np.int8(1)),
], ids=str)
def test_classes_come_back_as_they_were_given(tmp_path: Path, xy: Any, labels: Any) -> None:
    x = xy[0]
    for y in (np.array([labels[k] for k in xy[1]]),
              np.array([labels[k] for k in xy[1]], object), [labels[k] for k in xy[1]]):
        model = crosstate.Model(**SMALL).fit(x, y, task="classification", **SHORT)
        rounded = model.quantize(x, y, preset="w8a8s8")
        for made in (model, rounded, rounded.to_integers(), copy.deepcopy(model),
                     pickle.loads(pickle.dumps(rounded))):
            assert made.classes.tolist() == sorted(labels)
            assert made.classes.dtype.kind == np.array(labels).dtype.kind
            assert made.predict(x).dtype == made.classes.dtype
            assert made.score(x, y) == np.mean(made.predict(x) == np.asarray(y))
    run = crosstate.train(x, y, task="classification", train__epochs=1, train__batch=16,
                          run__quantize=False,
                          **{f"model__{key}": SMALL[key] for key in SMALL})
    assert run.model.classes.tolist() == sorted(labels)
    # A file has the names alone.
    model.save(tmp_path / "model")
    loaded = crosstate.load(tmp_path / "model")
    assert loaded.score(x, y) == model.score(x, y)
    with pytest.raises(crosstate.Error, match="y has 1 both as a number and as a text"):
        crosstate.Data(x, np.array([1, "1"] * 32, object))
    with pytest.raises(crosstate.Error, match="'01' and '1', which are the same number"):
        crosstate.Data(x, ["01", "1"] * 32)


def test_compares_two_models(model: crosstate.Model, test_xy: Any) -> None:
    x, y = test_xy
    other = crosstate.Model(**SMALL).fit(x, y, **SHORT)
    found = model.compare(other, x, y)
    right, other_right = model.predict(x) == y, other.predict(x) == y
    paired = found["paired"]
    assert paired["both"] == (right & other_right).sum()
    assert paired["only_first"] == (right & ~other_right).sum()
    assert paired["only_second"] == (~right & other_right).sum()
    assert paired["neither"] == (~right & ~other_right).sum() and 0 < paired["p_value"] <= 1
    assert found["accuracy"] == right.mean()
    assert found["compared"]["accuracy"] == other_right.mean()
    assert model.compare(model, x, y)["paired"]["p_value"] == 1
    data = crosstate.Data(x, y, test=(x, y))
    assert model.compare(other, data)["paired"] == paired
    values = crosstate.Model(**SMALL).fit(x, y + 0.5, **SHORT)
    with pytest.raises(crosstate.Error, match="this model has results of regression"):
        values.compare(values, x, y + 0.5)


def test_regression_returns_values(xy: Any) -> None:
    x, y = xy
    model = crosstate.Model(**SMALL).fit(x, 100.0 + 50 * y, epochs=15, batch=8,
                                         learning_rate=0.02)
    assert model.task == "regression"
    assert np.abs(model.predict(x).mean() - 125) < 25
    with pytest.raises(crosstate.Error, match="no probabilities"):
        model.predict_proba(x)
    two = crosstate.Model(**SMALL).fit(x, np.stack([y + 0.5, -y - 0.5], 1), **SHORT)
    assert two.predict(x).shape == (64, 2)


def test_several_columns_of_truth_values_are_labels(xy: Any) -> None:
    x, y = xy
    model = crosstate.Model(**SMALL).fit(x, np.stack([y, 1 - y, y], 1), **SHORT)
    assert model.task == "multi-label"
    assert set(np.unique(model.predict(x))) <= {0, 1}
    assert model.predict_proba(x).shape == (64, 3)


def test_outputs_of_every_step(xy: Any) -> None:
    x, y = xy
    steps = np.repeat(y[:, None], x.shape[1], axis=1).astype(float)
    steps[:, :5] = np.nan
    model = crosstate.Model(readout="step", **SMALL).fit(x, steps, task="classification", **SHORT)
    assert model.every_step and list(model.classes) == [0, 1]
    assert model.predict(x).shape == (64, 24)
    ragged = [x[0, :7], x[1]]
    assert [len(part) for part in model.predict(ragged)] == [7, 24]
    found = model.evaluate(x, steps)
    assert found["accuracy"] == np.mean((model.predict(x) == steps)[:, 5:])


def test_sequences_of_different_lengths(xy: Any, model: crosstate.Model) -> None:
    x, y = xy
    parts = [row[: 12 + i % 13] for i, row in enumerate(x)]
    trained = crosstate.Model(**SMALL).fit(parts, y, **SHORT)
    assert trained.predict(parts).shape == (64,)
    # Padding changes nothing.
    alone = np.concatenate([model.outputs([part]) for part in parts[:5]])
    np.testing.assert_array_equal(model.outputs(parts[:5]), alone)


def test_streams_step_by_step(rounded: crosstate.Model, test_xy: Any) -> None:
    x = test_xy[0]
    stream = rounded.stream()
    for row, expected, outputs in zip(
        x[:4], rounded.predict(x[:4], backend="integer"), rounded.outputs(x[:4], backend="integer")
    ):
        for value in row:
            decision = stream.step(value)
        assert decision == expected and stream.steps == len(row)
        np.testing.assert_array_equal(stream.outputs, outputs)
        stream.reset()
    assert stream.push(x[0]) == rounded.predict(x[:1])[0]
    with pytest.raises(crosstate.Error, match="2 values, expected 1"):
        stream.step([1, 2])
    with pytest.raises(crosstate.Error, match="not finite"):
        stream.step(np.nan)


def test_saves_loads_pickles_and_copies(
    tmp_path: Path, rounded: crosstate.Model, test_xy: Any
) -> None:
    rounded.save(tmp_path / "model.safetensors")
    expected = rounded.outputs(test_xy[0])
    for other in (
        crosstate.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(rounded)),
        copy.deepcopy(rounded),
        rounded.to_integers(),
    ):
        np.testing.assert_array_equal(other.outputs(test_xy[0], backend="integer"),
                                      rounded.outputs(test_xy[0], backend="integer"))
    assert (expected == crosstate.load(tmp_path / "model.safetensors").outputs(test_xy[0])).all()


def test_exports_c_and_arrays(
    tmp_path: Path, model: crosstate.Model, rounded: crosstate.Model
) -> None:
    found = rounded.export(tmp_path / "c", name="net", sequences=2, steps=5)
    assert found["name"] == "net" and found["constants"] > 0 and found["state"] > 0
    assert "int net_class(" in (tmp_path / "c" / "net.h").read_text()
    assert set(found["files"]) >= {"net.h", "net.c", "test/net_check.c", "Makefile"}
    rounded.export(tmp_path / "c", name="net", sequences=2, steps=5)  # the same files
    (tmp_path / "c" / "net.h").write_text("mine")
    with pytest.raises(crosstate.Error, match="net.h: exists"):
        rounded.export(tmp_path / "c", name="net", sequences=2, steps=5)
    rounded.export(tmp_path / "c", overwrite=True, name="net", sequences=2, steps=5)
    assert rounded.to_integers().export(tmp_path / "npz", format="npz", name="net",
                                        sequences=2, steps=5)["files"] == ["net.npz"]
    with np.load(tmp_path / "npz" / "net.npz") as arrays:
        assert arrays["golden.codes"].shape == (2, 5, 1)
        integer = json.loads(bytes(arrays["format"]))
    assert integer == rounded.to_integers().describe()
    for wrong, says in (({"format": "npz", "unit": 1}, "export.unit has no effect"),
                        ({"name": "1x"}, "export.name"), ({"bands": 3}, "export.bands")):
        with pytest.raises(crosstate.Error, match=says):
            rounded.export(tmp_path / "no", **wrong)
    with pytest.raises(crosstate.Error, match="float model"):
        model.export(tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_describes_itself(model: crosstate.Model, rounded: crosstate.Model) -> None:
    assert model.describe()["model"]["channels"] == 4
    assert "<table>" in model._repr_html_() and "channels" in model.describe()._repr_html_()
    assert "float model" in repr(model) and "quantized model" in repr(rounded)
    assert "channels=4" in repr(crosstate.Model(**SMALL))
    certificate = rounded.certificate()
    assert certificate["fits_int64"] and certificate["accumulators"][0]["bits"] > 1


def test_qat_refuses_other_classes(model: crosstate.Model, xy: Any) -> None:
    x, y = xy
    with pytest.raises(crosstate.Error, match="outputs are 1 and 2, those of the data 1 and 3"):
        model.qat(x, np.arange(len(y)) % 3, epochs=1)


def test_searches_a_format(model: crosstate.Model, xy: Any) -> None:
    found = model.quantize(*xy, bytes=900, train__validation=0.5)
    assert found.quantized and found.summary["bytes"] <= 900
    assert found.summary["choices"]


def test_prunes(model: crosstate.Model, xy: Any) -> None:
    smaller = model.prune(*xy, states=0.5, qat__epochs=1, run__quantize=False)
    assert not smaller.quantized
    assert smaller.describe()["parameters"] < model.describe()["parameters"]
    points = model.prune_points(*xy, states=[0, 0.5], retrain=False)
    assert len(points) == 2
    with pytest.raises(crosstate.Error, match="qat.epochs has no effect with prune.retrain = false"):
        model.prune(*xy, states=0.5, retrain=False, qat__epochs=2)


def test_options_are_those_of_the_field_list(xy: Any) -> None:
    with pytest.raises(crosstate.Error, match='"model.chanels".*nearest.*"model.channels"'):
        crosstate.Model(chanels=4)
    with pytest.raises(crosstate.Error, match="model.channels = 0, expected"):
        crosstate.Model(channels=0)
    model = crosstate.Model(**SMALL)
    with pytest.raises(crosstate.Error, match='"train.epoch".*nearest.*"train.epochs"'):
        model.fit(*xy, epoch=3)
    with pytest.raises(crosstate.Error, match="train.learning_rate = nan"):
        model.fit(*xy, learning_rate=float("nan"))
    with pytest.raises(crosstate.Error, match="quant.preset has no effect"):
        model.fit(*xy, quant__preset="w4a8s8")
    assert not model.fitted
    with pytest.raises(crosstate.Error, match=r"expected fit\(\) or load\(\) before"):
        model.predict(xy[0])
    assert {"key", "default", "help", "unit", "allowed"} == set(crosstate.settings()[0])
    assert any(one["key"] == "quant.state.bits" for one in crosstate.settings("state.bits"))


def test_continues_a_run(tmp_path: Path, xy: Any) -> None:
    def stop(p: crosstate.TrainProgress) -> bool:
        return p.epoch_end and p.epoch == 1

    stopped = crosstate.Model(**SMALL).fit(*xy, out=tmp_path / "run", callback=stop, epochs=3,
                                           batch=16)
    assert stopped.fitted and len(stopped.history) == 1
    with pytest.raises(crosstate.Error, match="run"):
        crosstate.Model(**SMALL).fit(*xy, out=tmp_path / "run", epochs=3, batch=16)
    resumed = crosstate.Model(**SMALL).fit(*xy, out=tmp_path / "run", resume=True, epochs=3,
                                           batch=16)
    whole = crosstate.Model(**SMALL).fit(*xy, epochs=3, batch=16)
    np.testing.assert_array_equal(resumed.outputs(xy[0]), whole.outputs(xy[0]))


def test_long_sequences() -> None:
    x, y = sines(4, 1, steps=2000)
    model = crosstate.Model(**SMALL).fit(x, y, epochs=1, batch=4, validation=(x, y))
    rounded = model.quantize(x, y, preset="w8a8s8")
    long = np.zeros((1, 200_000), np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for backend in ("float", "fake", "integer"):
        assert rounded.predict(long, backend=backend).shape == (1,)
    # In kilobytes. The batch takes 16 * 4 bytes a step; the values of all layers would take 10 times
    # as much.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_training_that_does_not_fit_in_memory() -> None:
    x = np.broadcast_to(np.float32(0), (2, 10_000_000))
    with pytest.raises(crosstate.Error, match="training on 16 sequences of 10000000 steps .* GB"):
        crosstate.Model(channels=256, states=64, layers=8).fit(x, [0, 1], epochs=1)
