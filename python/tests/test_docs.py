"""The example of docs/python.md runs as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import crosstate

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_from_arrays_to_a_chip(capsys: Any) -> None:
    part = PAGE.read_text().split("## From arrays to a chip")[1].split("\n## ")[0]
    code = "\n".join(line[4:] for line in part.splitlines() if line.startswith("    "))
    values: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), values)
    assert values["small"].quantized
    assert values["records"].summary["accuracy_mean"] > 0.95
    # What the text says of a network that was only rounded.
    x, y = values["x"][500:], values["y"][500:]
    lost = crosstate.simulate(values["small"], x, y, target="taox-64x64", chips=5)
    assert lost.summary["accuracy_mean"] < values["records"].summary["accuracy_mean"]
    assert len(capsys.readouterr().out.split()) == 4
