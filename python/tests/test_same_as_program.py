"""Python and the command line give the same files and figures, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import crosstate
import numpy as np
import pytest
from conftest import SMALL, program, program_json

SETTINGS = ["--set", "model.channels=4", "--set", "model.states=4", "--set", "model.layers=1",
            "--set", "data.task=classification", "--set", "train.batch=16",
            "--set", "train.epochs=2", "--quiet"]


def test_float_training_of_arrays_writes_the_file_of_train(
    tmp_path: Path, series: Path, xy: Any, test_xy: Any
) -> None:
    program("train", "--data", series, "--out", tmp_path / "cli", "--seed", 3, "--threads", 1,
            "--set", "run.quantize=false", *SETTINGS)
    model = crosstate.Model(**SMALL).fit(
        *xy, test=test_xy, epochs=2, batch=16, seed=3, threads=2
    )
    model.save(tmp_path / "python.safetensors")
    expected = (tmp_path / "cli" / "float.safetensors").read_bytes()
    assert (tmp_path / "python.safetensors").read_bytes() == expected
    # Neither a test set nor the kind of arrays changes what is trained.
    other = crosstate.Model(**SMALL).fit(
        list(xy[0].astype(np.float64)), [int(y) for y in xy[1]], epochs=2, batch=16, seed=3
    )
    other.save(tmp_path / "other.safetensors")
    assert (tmp_path / "other.safetensors").read_bytes() == expected


def test_all_stages_write_the_files_of_train(
    tmp_path: Path, series: Path, xy: Any, test_xy: Any
) -> None:
    program("train", "--data", series, "--out", tmp_path / "cli", "--set", "qat.epochs=2", *SETTINGS)
    run = crosstate.train(
        *xy, test=test_xy, out=tmp_path / "python", model__channels=4, model__states=4,
        model__layers=1, train__batch=16, train__epochs=2, qat__epochs=2,
    )
    for name in ("float", "ptq", "qat", "qat.integer"):
        file = f"{name}.safetensors"
        assert (tmp_path / "python" / file).read_bytes() == (
            tmp_path / "cli" / file
        ).read_bytes(), name
    assert (tmp_path / "python" / "report.html").is_file()
    # The same in steps.
    model = crosstate.Model(**SMALL).fit(*xy, epochs=2, batch=16)
    model.qat(*xy, epochs=2).save(tmp_path / "steps.safetensors")
    assert (tmp_path / "steps.safetensors").read_bytes() == (
        tmp_path / "cli" / "qat.safetensors"
    ).read_bytes()
    assert run.model.quantized and set(run.models) == {"float", "ptq", "qat"}


def test_quantize_evaluate_and_simulate_as_the_program(
    tmp_path: Path, series: Path, model: crosstate.Model, xy: Any, test_xy: Any
) -> None:
    model.save(tmp_path / "float.safetensors")
    program("quantize", tmp_path / "float.safetensors", "--data", series, "--out", tmp_path / "q",
            "--set", "quant.preset=w4a8s8", "--quiet")
    rounded = model.quantize(*xy, preset="w4a8s8")
    rounded.save(tmp_path / "ptq.safetensors")
    assert (tmp_path / "ptq.safetensors").read_bytes() == (
        tmp_path / "q" / "ptq.safetensors"
    ).read_bytes()

    for backend in ("float", "fake", "integer"):
        told = program_json("eval", tmp_path / "ptq.safetensors", "--data", series,
                            "--backend", backend)
        found = rounded.evaluate(*test_xy, backend=backend)
        told = {k: v for k, v in told.items() if k not in ("format", "model", "data")}
        assert told == {k: v for k, v in found.items() if k != "data"}
        assert rounded.evaluate(series, backend=backend)["loss"] == told["loss"]

    told = program_json("simulate", tmp_path / "ptq.safetensors", "--data", series, "--chips", 2,
                        "--times", "0 1h", "--seed", 5, "--out", tmp_path / "s")
    found = crosstate.simulate(rounded, *test_xy, chips=2, times="0 1h", seed=5)
    for key in ("ages", "arrays", "conversions_per_step"):
        assert told[key] == found.summary[key]


def test_errors_have_the_text_of_the_program(tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    told = program("info", missing, code=2).stderr
    with pytest.raises(crosstate.Error) as caught:
        crosstate.load(missing)
    assert str(caught.value) in told
    assert isinstance(caught.value, ValueError)


def test_the_console_script_is_the_program() -> None:
    assert program("--version").stdout.strip().endswith(crosstate.__version__)
