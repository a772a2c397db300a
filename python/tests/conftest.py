"""Small data, models trained on them once, and the program beside the package."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import crosstate
import numpy as np
import pytest

SMALL: dict[str, Any] = {"channels": 4, "states": 4, "layers": 1}
SHORT = {"epochs": 2, "batch": 16}


def sines(count: int, seed: int, steps: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Slow and fast oscillations [count, steps, 1] with their class."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % 2
    periods = np.where(y == 0, 2.0, 5.0) + random.uniform(0, 1, count)
    phase = random.uniform(0, 6.28, count)
    t = np.arange(steps) / steps
    x = np.sin(6.28 * periods[:, None] * t + phase[:, None])
    x += random.uniform(-0.3, 0.3, x.shape)
    return x[:, :, None].astype(np.float32), y


@pytest.fixture(scope="session")
def xy() -> tuple[np.ndarray, np.ndarray]:
    return sines(64, 1)


@pytest.fixture(scope="session")
def test_xy() -> tuple[np.ndarray, np.ndarray]:
    return sines(32, 2)


@pytest.fixture(scope="session")
def model(xy: Any) -> crosstate.Model:
    """A float model that tells slow from fast."""
    return crosstate.Model(**SMALL, dt_min=0.01, dt_max=0.5).fit(*xy, epochs=20, batch=8, learning_rate=0.02)


@pytest.fixture(scope="session")
def rounded(model: crosstate.Model, xy: Any) -> crosstate.Model:
    return model.quantize(*xy, preset="w8a8s8")


@pytest.fixture(scope="session")
def series(tmp_path_factory: Any, xy: Any, test_xy: Any) -> Path:
    """The same data as files."""
    directory = tmp_path_factory.mktemp("series")
    np.savez(directory / "train.npz", x=xy[0], y=xy[1])
    np.savez(directory / "test.npz", x=test_xy[0], y=test_xy[1])
    return directory


def program(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the program beside the package."""
    binary = Path(crosstate.__file__).parent / "bin" / "crosstate"
    # A sanitizer that is preloaded for the interpreter is not for the program, which has its own.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    result = subprocess.run(
        [binary, *map(os.fspath, map(str, arguments))], capture_output=True, text=True, timeout=300,
        env=environment,
    )
    assert result.returncode == code, result.stderr
    return result


def program_json(*arguments: object) -> Any:
    return json.loads(program(*arguments, "--json", "-").stdout)
