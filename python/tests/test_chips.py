"""Chips, devices, arrays with wires, mapping, cost."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import crosstate
import numpy as np
import pytest


def test_records_of_chips(rounded: crosstate.Model, test_xy: Any) -> None:
    records = crosstate.simulate(rounded, *test_xy, target="taox-64x64", chips=3, times=[0, 3600])
    assert len(records) == 6
    assert set(records[0]) == {"chip", "seconds", "accuracy"}
    assert {r["seconds"] for r in records} == {0, 3600} and {r["chip"] for r in records} == {0, 1, 2}
    first = [r["accuracy"] for r in records if r["seconds"] == 0]
    assert records.summary["accuracy_mean"] == pytest.approx(np.mean(first))
    again = crosstate.simulate(rounded, *test_xy, target="taox-64x64", chips=3, times="0 1h",
                               threads=1)
    assert again == records
    with pytest.raises(crosstate.Error, match="the nearest name is taox-64x64"):
        crosstate.simulate(rounded, *test_xy, target="taox-64")
    with pytest.raises(crosstate.Error, match="simulate.chips = 0"):
        crosstate.simulate(rounded, *test_xy, chips=0)


def test_results_of_chips_as_files(
    tmp_path: Path, rounded: crosstate.Model, test_xy: Any
) -> None:
    out = tmp_path / "chips"
    records = crosstate.simulate(rounded, *test_xy, chips=2, times="0 1h", out=out)
    page = (out / "simulate.html").read_text()
    assert page.startswith("<!") and f"{100 * records.summary['accuracy_mean']:.1f}" in page
    result = json.loads((out / "simulate.json").read_text())
    assert result["format"] == "crosstate simulate 1" and result["ages"] == records.summary["ages"]
    with pytest.raises(crosstate.Error, match="chips"):
        crosstate.simulate(rounded, *test_xy, chips=2, out=out)
    again = crosstate.simulate(rounded, *test_xy, chips=1, out=out, overwrite=True)
    assert len(again) == 1


def test_ideal_chips_are_the_integer_network(rounded: crosstate.Model, test_xy: Any) -> None:
    records = crosstate.simulate(rounded, *test_xy, target="ideal", chips=1)
    integers = rounded.evaluate(*test_xy, backend="integer")
    assert records[0]["accuracy"] == integers["accuracy"]


class Perfect:
    """A chip without errors."""

    def __init__(self) -> None:
        self.arrays: dict[int, np.ndarray] = {}
        self.ages: list[float] = []

    def program(self, array: int, conductances: np.ndarray) -> None:
        self.arrays[array] = conductances

    def age_to(self, seconds: float) -> None:
        self.ages.append(seconds)

    def multiply(self, array: int, voltages: np.ndarray) -> np.ndarray:
        return voltages @ self.arrays[array]


def test_a_chip_of_ones_own(rounded: crosstate.Model, test_xy: Any) -> None:
    chip = Perfect()
    records = crosstate.simulate(rounded, *test_xy, chip=chip, times="0 1d", simulate__sequences=16)
    ideal = crosstate.simulate(rounded, *test_xy, target="ideal", chips=1, sequences=16)
    assert [r["accuracy"] for r in records] == pytest.approx([ideal[0]["accuracy"]] * 2, abs=0.07)
    assert chip.ages[-1] == 86400 and len(chip.arrays) == records.summary["arrays"]

    class Short(Perfect):
        def multiply(self, array: int, voltages: np.ndarray) -> np.ndarray:
            return super().multiply(array, voltages)[:, 1:]

    with pytest.raises(crosstate.Error, match="currents of the chip have the shape"):
        crosstate.simulate(rounded, *test_xy, chip=Short())

    class Broken(Perfect):
        def multiply(self, array: int, voltages: np.ndarray) -> np.ndarray:
            raise OSError("no power")

    with pytest.raises(OSError, match="no power"):
        crosstate.simulate(rounded, *test_xy, chip=Broken())
    class Complex(Perfect):
        def multiply(self, array: int, voltages: np.ndarray) -> np.ndarray:
            return super().multiply(array, voltages) * (1 + 0j)

    with pytest.raises(crosstate.Error, match="currents of the chip has the type complex128"):
        crosstate.simulate(rounded, *test_xy, chip=Complex())
    for wrong in (object(), Perfect, 5):
        with pytest.raises(crosstate.Error, match="with the methods program and multiply"):
            crosstate.simulate(rounded, *test_xy, chip=wrong)  # type: ignore[arg-type]
    with pytest.raises(crosstate.Error, match="expected 1 with a chip of your own"):
        crosstate.simulate(rounded, *test_xy, chip=chip, chips=2)


def test_cells_age(tmp_path: Path) -> None:
    device = crosstate.Device("pcm")
    targets = np.linspace(device.g_min, device.g_max, 12).reshape(3, 4)
    cells = device.program(targets, seed=4)
    fresh, old = cells.at(0), cells.at(86400)
    assert fresh.shape == targets.shape and old.mean() < fresh.mean()
    np.testing.assert_array_equal(cells.at(0), fresh)  # in any order
    np.testing.assert_array_equal(device.program(targets, seed=4).at(86400), old)
    assert (device.program(targets, seed=5).at(0) != fresh).any()
    noisy = crosstate.Device(read_noise=0.05, g_min=1, g_max=25).program(targets[1:])
    first, second = noisy.read(0), noisy.read()
    assert first.shape == (2, 4) and (first != second).all()
    assert (noisy.read_deviation > 0).all() and (noisy.inference_deviation == 0).all()
    flickering = crosstate.Device("pcm", inference_time=0.042).program(targets[1:])
    assert (flickering.inference_deviation > 0).all()
    assert cells.programming["cells"] == 12
    with pytest.raises(crosstate.Error, match="target"):
        device.program([device.g_max * 2])
    with pytest.raises(crosstate.Error, match="expected one of pcm, hermes"):
        crosstate.Device("pcn")
    with pytest.raises(crosstate.Error, match="device.programming_noise"):
        crosstate.Device("pcm", programming_noise=0.1)
    assert any(one["name"] == "pcm" for one in crosstate.device_models())


def test_faults() -> None:
    device = crosstate.Device(programming_noise=0, read_noise=0, g_min=1, g_max=20)
    cells = device.program([5.0, 5, 5, 5], faults=[0, 1, 2, 3])
    np.testing.assert_array_equal(cells.at(0), [5, 1, 20, 0])
    np.testing.assert_array_equal(cells.faults, [0, 1, 2, 3])
    with pytest.raises(crosstate.Error, match="shape"):
        device.program([5.0], faults=[0, 0])


def test_a_device_of_ones_own(rounded: crosstate.Model, test_xy: Any) -> None:
    def statistics(target: float, seconds: float) -> tuple[float, float]:
        return target * (1 - 0.1 * (seconds > 0)), 0.01 * target

    device = crosstate.Device.from_function(statistics, g_min=1, g_max=25, times=[0, 3600])
    cells = device.program(np.full(4000, 10.0))
    assert cells.at(0).mean() == pytest.approx(10, rel=0.01)
    assert cells.at(3600).mean() == pytest.approx(9, rel=0.01)
    assert cells.at(0).std() == pytest.approx(0.1, rel=0.1)
    records = crosstate.simulate(rounded, *test_xy, device=device, chips=1, times="0 1h")
    assert len(records) == 2
    table = crosstate.Device.from_table([0], [1, 25], [[1, 25]], [[0, 0]])
    np.testing.assert_allclose(table.program([7.0]).at(0), 7)
    with pytest.raises(crosstate.Error, match="expected .1, 2.: times x targets"):
        crosstate.Device.from_table([0], [1, 25], [[1], [25]], [[0, 0]])


def test_arrays_with_wires(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    siemens = random.uniform(1e-6, 1e-4, (6, 4))
    volts = random.uniform(-0.2, 0.2, 6)
    ideal = crosstate.Array(siemens)
    np.testing.assert_allclose(ideal.currents(volts), volts @ siemens, rtol=1e-12)
    array = crosstate.Array(siemens, segment=2, driver=100, sense=50)
    np.testing.assert_allclose(array.currents(volts), volts @ array.effective(), rtol=1e-9)
    assert array.operating_point(volts)["word"].shape == (6, 4)
    curved = crosstate.Array(siemens, segment=2, nl3=1e-4)
    assert (curved.currents(volts) != crosstate.Array(siemens, segment=2).currents(volts)).all()
    with pytest.raises(crosstate.Error, match="linear"):
        curved.effective()
    with pytest.raises(crosstate.Error, match="5 voltages, expected one for each of 6 rows"):
        array.currents(volts[:5])
    with pytest.raises(crosstate.Error, match="negative"):
        crosstate.Array(-siemens)
    with pytest.raises(crosstate.Error, match="wires.segment"):
        crosstate.Array(siemens, segment=-1)
    netlist = array.netlist(volts)
    if shutil.which("ngspice"):
        (tmp_path / "array.cir").write_text(netlist)
        subprocess.run(["ngspice", "-b", "array.cir"], cwd=tmp_path, check=True,
                       capture_output=True)
    assert "vout3" in netlist


def test_mapping(rounded: crosstate.Model) -> None:
    mapping = crosstate.map_model(rounded, target="taox-64x64", length=24)
    assert mapping.number_of_arrays > 0
    weights = mapping.weights(0)
    assert weights.ndim == 2 and mapping.drive(0).shape == weights.shape
    assert mapping.svg().startswith("<svg") and mapping._repr_html_() == mapping.svg()
    with pytest.raises(IndexError):
        mapping.weights(999)
    assert crosstate.target_settings("taox-64x64")["crossbar"]["rows"] == 64
    assert "pcm" in crosstate.target_names()


def test_copies_are_the_same(rounded: crosstate.Model) -> None:
    cells = crosstate.Device("pcm").program(np.full((2, 3), 5.0), seed=3)
    old = cells.at(3600)
    array = crosstate.Array(np.full((3, 2), 1e-5), segment=2, nl3=1e-4)
    mapping = crosstate.map_model(rounded, target="taox-64x64", length=24)
    for copied in (copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))):
        np.testing.assert_array_equal(copied(cells).read(), copied(cells).read())
        np.testing.assert_array_equal(copied(cells).at(3600), old)
        np.testing.assert_array_equal(
            copied(array).currents([0.1] * 3), array.currents([0.1] * 3))
        again = copied(mapping)
        assert again == mapping and again.svg() == mapping.svg()
        np.testing.assert_array_equal(again.weights(0), mapping.weights(0))


def test_cost(model: crosstate.Model, rounded: crosstate.Model) -> None:
    price = crosstate.cost(rounded, steps=24, target="mcu-int8")
    assert price["memory_bytes"]["total"] > 0 and price["estimate"]["energy_pj"]
    crossbars = crosstate.cost(rounded, steps=24, target="crossbar-14nm")
    assert crossbars["estimate"]["arrays"] > 0
    powered = crosstate.cost(rounded, steps=24, target="crossbar-14nm", idle="powered")
    total = [p["estimate"]["energy_pj"]["per_inference"]["typical"] for p in (crossbars, powered)]
    assert total[0] <= total[1]
    assert "same_node" not in crossbars
    compared = crosstate.cost(
        rounded, steps=24, target="crossbar-14nm", rate=10, compensation="column", converter="sar"
    )
    digital = compared["same_node"]
    assert digital["technology"]["name"] == "same node, 14 nm"
    assert digital["at_rate"]["sram"]["energy_pj"]["typical"] > 0
    with pytest.raises(crosstate.Error, match="compare crossbars, but target is mcu-int8"):
        crosstate.cost(rounded, steps=24, target="mcu-int8", same_node=True)
    with pytest.raises(crosstate.Error, match="rate = -1"):
        crosstate.cost(rounded, steps=24, target="crossbar-14nm", rate=-1)
    with pytest.raises(crosstate.Error, match="cost.idle"):
        crosstate.cost(rounded, steps=24, target="crossbar-14nm", idle="asleep")
    assert len(crosstate.peers(model, steps=24)) == 3
    with pytest.raises(crosstate.Error):
        crosstate.cost(model, steps=24, target="crossbar-14nm")
    with pytest.raises(crosstate.Error, match="steps = 0, expected a whole number from 1"):
        crosstate.cost(rounded, steps=0)
    with pytest.raises(crosstate.Error, match="length = -3, expected a whole number from 1"):
        crosstate.map_model(rounded, length=-3)
    with pytest.raises(crosstate.Error, match="^the model: is a float model"):
        crosstate.simulate(model, np.zeros((2, 24)), [0, 1])
    assert "mcu-int8" in crosstate.technologies()


def test_sweep(tmp_path: Path, series: Path) -> None:
    (tmp_path / "sweep.toml").write_text(
        "[sweep]\nname = \"tiny\"\n[model]\nstates = 4\nlayers = 1\n[train]\nepochs = 1\n"
        "[run]\nquantize = false\n[grid]\nmodel.channels = [2, 4]\n"
    )
    records = crosstate.sweep(
        tmp_path / "sweep.toml", tmp_path / "out", data__directory=series,
        data__task="classification",
    )
    assert [r["status"] for r in records] == ["done", "done"]
    assert {r["model.channels"] for r in records} == {2, 4}
    assert all(0 <= r["accuracy"] <= 1 for r in records)
    assert crosstate.sweep_records(tmp_path / "out") == records
    with pytest.raises(crosstate.Error, match="sweep.sqlite"):
        crosstate.sweep_records(tmp_path)


@pytest.mark.extras
def test_search(tmp_path: Path, series: Path) -> None:
    records = crosstate.search(
        tmp_path, data__directory=series, data__task="classification", model__channels=4,
        model__states=4, model__layers=1, train__epochs=2, train__batch=16, qat__epochs=1,
        population=4, generations=1, candidates=1, sequences=16, bits="4 8",
    )
    assert records and all(r["status"] == "done" for r in records)


@pytest.mark.extras
def test_sweep_as_a_frame(tmp_path: Path, series: Path) -> None:
    pytest.importorskip("pandas")
    test_sweep(tmp_path, series)
    frame = crosstate.read_sweep(tmp_path / "out")
    assert len(frame["accuracy"]) == 2
    # Before its first point.
    with closing(sqlite3.connect(tmp_path / "out" / "sweep.sqlite")) as database:
        database.execute("DELETE FROM points")
        database.commit()
    empty = crosstate.read_sweep(tmp_path / "out")
    assert len(empty["accuracy"]) == 0 and "status" in empty  # type: ignore[operator]
    assert crosstate.sweep_records(tmp_path / "out") == []


def test_search_for_a_design(tmp_path: Path, series: Path, rounded: crosstate.Model) -> None:
    few: dict[str, Any] = {
        "model": rounded, "target": "generic-64x64", "data__directory": series,
        "data__task": "classification", "technology": "crossbar-14nm", "population": 4,
        "generations": 1, "sequences": 16, "chips": 1, "arrays": ["16x16", "32x32"],
        "adc_bits": [4, 8], "slices": 1, "digital": "A pointwise", "progress": False,
    }
    designs = crosstate.search(tmp_path / "out", **few)
    front = [one for one in designs if one["front"]]
    assert front and all(0 <= one["accuracy"] <= 1 for one in front)
    assert all(one["energy_nj"]["low"] <= one["energy_nj"]["typical"] for one in front)
    assert {one["rows"] for one in designs} <= {16, 32}
    csv = (tmp_path / "out" / "design-front.csv").read_text().splitlines()
    assert len(csv) == 1 + len(front)
    # Nothing is measured again.
    assert crosstate.search(tmp_path / "out", resume=True, **few) == designs
    with pytest.raises(crosstate.Error, match="search.arrays, which lists the choices"):
        crosstate.search(tmp_path / "new", **few, crossbar__rows=32)
    with pytest.raises(crosstate.Error, match="search.bits has no effect"):
        crosstate.search(tmp_path / "new", **few, bits="4 8")
    with pytest.raises(crosstate.Error, match="search.adc_bits has no effect"):
        crosstate.search(tmp_path / "new", adc_bits="4 8")
    with pytest.raises(crosstate.Error, match="belong together"):
        crosstate.search(tmp_path / "new", model=rounded)
    assert not (tmp_path / "new").exists()
