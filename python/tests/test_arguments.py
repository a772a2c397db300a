"""Arguments that are easily given wrong, and objects that outlive what they were made of."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import crosstate
import numpy as np
import pytest
from conftest import SHORT, SMALL


def test_paths_of_every_kind(tmp_path: Path, model: crosstate.Model, xy: Any) -> None:
    model.save(tmp_path / "a")
    model.save(os.fsencode(tmp_path / "b"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for path in (tmp_path / "a", str(tmp_path / "a"), os.fsencode(tmp_path / "a")):
        np.testing.assert_array_equal(crosstate.load(path).outputs(xy[0]), model.outputs(xy[0]))
    with pytest.raises(crosstate.Error, match="NUL"):
        crosstate.load(f"{tmp_path}/a\0b")
    with pytest.raises(crosstate.Error, match="UTF-8"):
        crosstate.load(f"{tmp_path}/\udcff")


def test_whole_numbers(model: crosstate.Model, rounded: crosstate.Model, xy: Any) -> None:
    assert model.predict(xy[0], threads=np.int64(1)).shape == (64,)
    for threads in (2.0, "2", None, 2**40):
        with pytest.raises(crosstate.Error, match="threads = "):
            model.predict(xy[0], threads=threads)  # type: ignore[arg-type]
    with pytest.raises(crosstate.Error, match="steps = -1"):
        crosstate.cost(rounded, steps=-1)
    with pytest.raises(crosstate.Error, match="bits = 0"):
        crosstate.peers(rounded, steps=10, bits=0)
    with pytest.raises(crosstate.Error, match="length"):
        crosstate.map_model(rounded, length=1.5)  # type: ignore[arg-type]
    for more in ({"seed": -1}, {"seed": 2**70}, {"number": 2**40}):
        with pytest.raises(crosstate.Error, match="seed|number"):
            crosstate.Device("pcm").program([1.0], **more)
    with pytest.raises(crosstate.Error, match="faults"):
        crosstate.Device("pcm").program([1.0], faults=[300])


@pytest.mark.parametrize("labels", [(-1, 3), (100_000, 3), (2**62 + 1, 3), (0.0001, 0.1), ("--5", "²")])
def test_labels_of_every_kind(xy: Any, labels: Any) -> None:
    y = np.array([labels[k] for k in xy[1]])
    model = crosstate.Model(**SMALL).fit(xy[0], y, task="classification", **SHORT)
    as_given = {str(name): label for name in model.classes for label in labels
                if str(name) == str(label) or isinstance(label, float) and float(name) == label}
    assert len(as_given) == 2
    right = [as_given[str(name)] == label for name, label in zip(model.predict(xy[0]), y.tolist())]
    assert model.score(xy[0], y) == np.mean(right)
    if isinstance(labels[0], int):
        assert set(model.classes.tolist()) == set(labels)


def test_targets_that_are_no_labels(model: crosstate.Model, xy: Any) -> None:
    for y in (xy[1] * 1j, np.where(xy[1], b"a", b"b"), np.ma.masked_array(xy[1], xy[1] == 0)):
        with pytest.raises(crosstate.Error, match="^y has "):
            crosstate.Model(**SMALL).fit(xy[0], y, **SHORT)
    with pytest.raises(crosstate.Error, match="masked"):
        model.predict(np.ma.masked_array(xy[0], xy[0] > 0))
    with pytest.raises(crosstate.Error, match="class 'inf' is not one of the model"):
        model.score(xy[0], np.full(64, np.inf))


def test_settings_by_their_full_names(xy: Any) -> None:
    by_argument = crosstate.Model(**SMALL).fit(*xy, seed=5, **SHORT)
    by_key = crosstate.Model(**SMALL).fit(*xy, run__seed=5, **SHORT)
    np.testing.assert_array_equal(by_argument.outputs(xy[0]), by_key.outputs(xy[0]))
    # Norms that only float networks have.
    assert crosstate.Model(**SMALL, norm="layer").fit(*xy, **SHORT).fitted


def test_a_loaded_model_is_trained_with_its_options(tmp_path: Path, xy: Any) -> None:
    model = crosstate.Model(**SMALL).fit(*xy, **SHORT)
    model.save(tmp_path / "model")
    again = crosstate.load(tmp_path / "model").fit(*xy, **SHORT)
    np.testing.assert_array_equal(again.outputs(xy[0]), model.outputs(xy[0]))


def test_truth_values_of_numpy_stop(xy: Any) -> None:
    model = crosstate.Model(**SMALL)
    model.fit(*xy, epochs=5, batch=16, callback=lambda p: np.bool_(p.epoch_end))
    assert len(model.history) == 1


def test_messages_name_no_removed_file(model: crosstate.Model) -> None:
    with pytest.raises(crosstate.Error, match="^[^/]*: made for 1 channel"):
        model.predict(np.zeros((2, 8, 3)))


def test_results_outlive_their_owners(rounded: crosstate.Model, xy: Any) -> None:
    sets = crosstate.Data(*xy).arrays()
    x, labels = sets.train.x, sets.test.labels
    stream = copy.deepcopy(rounded).stream()
    weights = crosstate.map_model(rounded).weights(0)
    expected = x.copy(), weights.copy()
    del sets
    gc.collect()
    _ = [np.ones(x.size, np.float32) for _ in range(50)]
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(weights, expected[1])
    assert labels.shape == (0,)
    assert stream.push(xy[0][0]) == rounded.predict(xy[0][:1], backend="integer")[0]


def test_callers_may_change_their_arrays() -> None:
    targets = np.array([5.0, 10.0])
    cells = crosstate.Device("pcm").program(targets)
    later, start = cells.at(3600), cells.at(0)
    targets[:] = 20
    np.testing.assert_array_equal(cells.at(3600), later)
    np.testing.assert_array_equal(cells.at(0), start)
    siemens = np.full((2, 2), 1e-5)
    array = crosstate.Array(siemens)
    siemens[:] = 1
    assert (array.conductance == 1e-5).all()


def test_cells_and_front_ends_of_several_threads() -> None:
    cells = crosstate.Device("pcm").program(np.full(1000, 10.0))
    expected = {seconds: cells.at(seconds) for seconds in (0, 60, 3600)}
    front = crosstate.FrontEnd(16000)
    sounds = [np.random.default_rng(i).normal(0, 0.1, 4000) for i in range(3)]
    wrong: list[Any] = []

    def work(seconds: int) -> None:
        for _ in range(20):
            if not np.array_equal(cells.at(seconds), expected[seconds]):
                wrong.append(seconds)
            front.fit(sounds, threads=1)
            front.transform(sounds, threads=1)

    threads = [threading.Thread(target=work, args=(seconds,)) for seconds in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    with pytest.raises(crosstate.Error, match="recording 0: sample 1 is nan"):
        front.transform([np.array([0, np.nan])])


def test_copies_of_a_device_have_their_own_table() -> None:
    def own() -> crosstate.Device:
        return crosstate.Device.from_function(lambda g, t: (0.9 * g, 0.1), g_min=1, g_max=25)

    expected = own().program([2.0, 20.0]).at(0)
    for made in (copy.copy(own()), copy.deepcopy(own()), pickle.loads(pickle.dumps(own()))):
        gc.collect()
        np.testing.assert_array_equal(made.program([2.0, 20.0]).at(0), expected)
    with pytest.raises(crosstate.Error, match="pair"):
        crosstate.Device.from_function(lambda g, t: "ab", g_min=1, g_max=2)  # type: ignore[arg-type,return-value]


def test_a_forked_process_leaves_the_table_of_a_device() -> None:
    code = (
        "import os, sys, crosstate\n"
        "own = crosstate.Device.from_function(lambda g, t: (g, 0.1), g_min=1, g_max=25)\n"
        "if os.fork() == 0: sys.exit(0)\n"
        "os.wait()\n"
        "print(own.program([2.0]).at(0).shape)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert result.stdout == "(1,)\n", result.stderr
