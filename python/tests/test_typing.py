"""A user's program passes mypy --strict with the stubs of the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import crosstate
import pytest

PROGRAM = '''
import numpy as np

import crosstate


def decide(p: crosstate.TrainProgress) -> bool:
    return p.epoch_end and p.metric > 0.99


x = np.zeros((4, 10, 1), np.float32)
y = np.array([0, 1, 0, 1])
model = crosstate.Model(channels=4, states=4).fit(x, y, epochs=2, callback=decide)
small = model.quantize(x, y, loss=0.5)
classes = small.predict(x)
accuracy: float = small.score(x, y)
stream = small.stream()
stream.step([0.5])
records = crosstate.simulate(small, x, y, target="taox-64x64", chips=2, times="0 1d")
mean: float = records.summary["accuracy_mean"]
cells = crosstate.Device("pcm").program(np.full((2, 2), 5.0))
aged: float = cells.at(60.0).mean().item()
currents = crosstate.Array(np.full((2, 2), 1e-6), segment=1.0).currents([0.1, 0.2])
total: float = float(currents.sum())
try:
    crosstate.load("none.safetensors")
except crosstate.Error as error:
    print(str(error))
'''


def test_mypy_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    package = Path(crosstate.__file__).parent
    if not (package / "_core.pyi").is_file():
        pytest.skip("builds with a sanitizer have no stub of the module")
    # Modules that need extras would need their stubs.
    modules = [package / "__init__.py", package / "_core.pyi", *package.glob("_[a-z]*.py")]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"),
         str(program), *map(str, modules)],
        capture_output=True, text=True, env={"PYTHONPATH": "", "MYPYPATH": str(package.parent)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
