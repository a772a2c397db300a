"""How the package is built and what comes with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_pip_compiles_the_library_as_scripts_build_does() -> None:
    """With other flags or groups of sources, ccache would have nothing of it."""
    tomllib = pytest.importorskip("tomllib")
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["scikit-build"]
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    release = next(p["cacheVariables"] for p in presets if p["name"] == "release")
    assert tools["cmake"]["build-type"] == release["CMAKE_BUILD_TYPE"]
    for option in ("CROSSTATE_COMBINE", "CROSSTATE_PRECOMPILE"):
        assert tools["cmake"]["define"].get(option) == release.get(option), option
