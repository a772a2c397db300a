"""Data: arrays of every kind, recordings, readers and front ends."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import crosstate
import numpy as np
import pytest
from conftest import SHORT, SMALL


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int8, np.uint16, bool])
def test_every_real_type(kind: Any, xy: Any) -> None:
    x = (xy[0] > 0).astype(kind)
    model = crosstate.Model(**SMALL).fit(x, xy[1], **SHORT)
    np.testing.assert_array_equal(model.outputs(x), model.outputs(x.astype(np.float32)))


def test_arrays_in_any_order(model: crosstate.Model, xy: Any) -> None:
    x = xy[0]
    expected = model.outputs(x)
    reversed_ = np.ascontiguousarray(x[::-1])[::-1]
    fortran = np.asfortranarray(x)
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    frozen = x.copy()
    frozen.flags.writeable = False
    for other in (reversed_, fortran, strided, frozen, x[:, :, 0], x.tolist(), x.astype(">f4")):
        np.testing.assert_array_equal(model.outputs(other), expected)


BAD = [
    (np.zeros((0, 5, 1)), "no sequences"),
    (np.zeros((3, 0, 1)), "has no steps"),
    (np.zeros((3, 5, 0)), "no channels"),
    (np.zeros(5), "1 dimensions"),
    (np.zeros((1, 2, 3, 4)), "4 dimensions"),
    (np.zeros((3, 5, 2)), "2"),
    (np.zeros((3, 5), complex), "complex128"),
    (np.array([["a", "b"]]), "expected real numbers"),
    (np.full((2, 5), np.nan), "sequence 0 is nan at step 0"),
    (np.array([[0, np.inf]]), "sequence 0 is inf at step 1"),
    (np.array([[0, 1e300]]), "expected a finite number"),
    ([], "no sequences"),
    ([[1.0, 2.0], [[1.0], [2.0]], np.zeros((2, 2))], "2 channels, but x.0. has 1"),
    ([np.zeros((2, 2, 2))], "3 dimensions"),
    ([np.zeros(3), np.zeros(0)], "sequence 1 has no steps"),
    (None, "expected"),
    ("text", "expected"),
    ([[1.0, [2.0]]], "x"),
    (object(), "expected real numbers"),
]


@pytest.mark.parametrize("x,message", BAD, ids=[str(i) for i in range(len(BAD))])
def test_refuses_bad_sequences(model: crosstate.Model, x: Any, message: str) -> None:
    with pytest.raises(crosstate.Error, match=message):
        model.predict(x)


@pytest.mark.parametrize(
    "y,message",
    [
        (np.zeros(63, int), "expected one row for each of the 64 sequences"),
        (np.zeros((64, 1, 1), int), "shape"),
        (np.full(64, np.nan), "sequence 0 is nan, expected a finite number"),
        (np.zeros(64, int), "class"),
        (np.zeros((64, 2), complex), "complex|task|expected"),
    ],
)
def test_refuses_bad_targets(xy: Any, y: Any, message: str) -> None:
    with pytest.raises(crosstate.Error, match=message):
        crosstate.Model(**SMALL).fit(xy[0], y, **SHORT)


def test_refuses_what_is_no_data(xy: Any) -> None:
    with pytest.raises(crosstate.Error, match="y is missing"):
        crosstate.Model(**SMALL).fit(xy[0])
    with pytest.raises(crosstate.Error, match="no such directory"):
        crosstate.Model(**SMALL).fit("nowhere")
    with pytest.raises(crosstate.Error, match="pair"):
        crosstate.Data(*xy, test=xy[0])


def test_reads_files_and_the_built_in_digits() -> None:
    sets = crosstate.Data.read(train_limit=50, test_limit=20).arrays()
    assert sets.train.x.shape[1:] == (784, 1)
    assert len(sets.train.x) + len(sets.validation.x) == 50 and len(sets.validation.x) >= 5
    assert sets.test.x.shape == (20, 784, 1) and len(sets.test.labels) == 20
    assert sets.train.classes == [str(k) for k in range(10)]
    assert 0 <= sets.train.x.min() and sets.train.x.max() <= 1


def test_arrays_come_back(xy: Any, test_xy: Any) -> None:
    data = crosstate.Data(*xy, test=test_xy, validation=test_xy)
    sets = data.arrays()
    np.testing.assert_array_equal(sets.train.x, xy[0])
    np.testing.assert_array_equal(sets.validation.labels, test_xy[1])
    assert crosstate.Data(*xy).arrays().test.x.shape[0] == 0


def tones(count: int, rate: int = 4000) -> tuple[list[np.ndarray], list[str]]:
    t = np.arange(rate // 4) / rate
    names = ["low", "high"]
    sounds = [
        (0.5 * np.sin(6.28 * (300 if i % 2 == 0 else 1200) * t + i)).astype(np.float32)
        for i in range(count)
    ]
    return sounds, [names[i % 2] for i in range(count)]


def test_recordings_in_memory(tmp_path: Path) -> None:
    sounds, labels = tones(24)
    data = crosstate.Data.recordings(sounds, labels, 4000, test=tones(8))
    model = crosstate.Model(**SMALL).fit(
        data, epochs=4, batch=8, learning_rate=0.02, front_end__bands=6
    )
    assert model.sample_rate == 4000 and model.inputs == 6
    assert set(model.predict(sounds)) <= {"low", "high"}
    assert model.evaluate(data)["sequences"] == 8
    assert model.evaluate(*tones(8))["accuracy"] == model.evaluate(data)["accuracy"]
    rounded = model.quantize(data, preset="w8a8s8")
    stream = rounded.stream()
    assert stream.width == 1 and stream.step(0.0) is None
    assert stream.push(sounds[0]) in ("low", "high")
    with pytest.raises(crosstate.Error, match="expected one: samples"):
        model.predict([np.zeros((5, 2))])
    whole = rounded.to_integers(arithmetic="integer")
    assert b"crosstate front end 2" in pickle.dumps(whole)
    assert "kws_front_end.c" in whole.export(tmp_path / "whole", name="kws")["files"]
    with pytest.warns(crosstate.Note, match="its front end computes in floating point"):
        rounded.export(tmp_path / "float", name="kws")
    assert whole.evaluate(data)["sequences"] == 8
    same = whole.to_integers(arithmetic="float")
    np.testing.assert_array_equal(same.outputs(sounds),
                                  rounded.outputs(sounds, backend="integer"))
    with pytest.raises(crosstate.Error, match="front_end.arithmetic.*expected one of float, integer"):
        rounded.to_integers(arithmetic="double")
    truths = crosstate.Data.recordings(sounds, [one == "low" for one in labels], 4000)
    heard = crosstate.Model(**SMALL).fit(truths, epochs=1, batch=8)
    assert heard.classes.tolist() == [False, True]
    assert heard.evaluate(sounds, [one == "low" for one in labels])["sequences"] == 24
    for wrong, says in ((["a"] * 23 + [None], "train recording 23 has no label"),
                        ([object()] * 24, "a label is <object"), (["a"] * 3, "3 labels of 24")):
        with pytest.raises(crosstate.Error, match=says):
            crosstate.Data.recordings(sounds, wrong, 4000)


def test_data_can_be_copied(xy: Any, test_xy: Any) -> None:
    ragged = [row[: 12 + i % 13] for i, row in enumerate(xy[0])]
    steps = np.where(np.arange(24) < 5, np.nan, np.repeat(xy[1][:, None], 24, axis=1) * 1.0)
    kinds = [
        (crosstate.Data(*xy, test=test_xy), {}),
        (crosstate.Data(ragged, np.stack([xy[1] + 0.5, xy[1] * 3.0], 1)), {}),
        (crosstate.Data(xy[0], steps, every_step=True, task="classification"),
         {"readout": "step"}),
        (crosstate.Data.recordings(*tones(24), 4000, test=tones(8)), {}),
        (crosstate.Data.read(train_limit=40, test_limit=20), {}),
    ]
    for data, more in kinds:
        expected = data.arrays(train__validation=0.2)
        model = crosstate.Model(**SMALL, **more).fit(data, **SHORT)
        for made in (copy.copy(data), copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
            found = made.arrays(train__validation=0.2)
            for part in ("train", "validation", "test"):
                for name in ("x", "targets", "lengths", "classes"):
                    np.testing.assert_array_equal(getattr(getattr(found, part), name),
                                                  getattr(getattr(expected, part), name))
            again = crosstate.Model(**SMALL, **more).fit(made, **SHORT)
            assert [one["train_loss"] for one in again.history] == [
                one["train_loss"] for one in model.history]
            np.testing.assert_array_equal(again.classes, model.classes)


def test_front_end() -> None:
    sounds, _ = tones(4)
    front_end = crosstate.FrontEnd(4000, bands=6).fit(sounds)
    frames, lengths = front_end.transform(sounds)
    assert frames.shape == (4, lengths.max(), 6) == (4, 25, front_end.features)
    np.testing.assert_allclose(frames.mean(axis=(0, 1)), 0, atol=1e-3)
    for made in (copy.deepcopy(front_end), pickle.loads(pickle.dumps(front_end))):
        np.testing.assert_array_equal(made.transform(sounds)[0], frames)
    with pytest.raises(crosstate.Error, match="front_end.bands"):
        crosstate.FrontEnd(4000, bands=0)
