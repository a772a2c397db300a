"""How the package is built and what comes with it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

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


def test_licences_are_those_of_the_native_library(monkeypatch: Any) -> None:
    """A machine may have packages of other architectures, in any order."""
    monkeypatch.syspath_prepend(ROOT / "python")
    add_licences: Any = pytest.importorskip("add_licences")
    answers = {
        "dpkg": "amd64\n",
        "/sbin/ldconfig": "\tliba.so.1 (libc6,AArch64) => /lib/a64/liba.so.1\n"
                          "\tliba.so.1 (libc6,x86-64) => /lib/x86/liba.so.1\n",
    }
    owners = {"/lib/a64/liba.so.1": "liba1:arm64: x\n", "/lib/x86/liba.so.1": "liba1:amd64: x\n"}

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        owner = owners.get(command[-1], "")
        return subprocess.CompletedProcess(command, 0 if owner else 1, owner, "")

    monkeypatch.setattr(add_licences, "output", lambda *command: answers[command[0]])
    monkeypatch.setattr(add_licences.subprocess, "run", run)
    assert add_licences.package_of("liba.so.1") == ("liba1", "liba1:amd64")
    owners["/lib/x86/liba.so.1"] = "liba1: x\n"
    assert add_licences.package_of("liba.so.1") == ("liba1", "liba1")
