"""No argument of a public function, given wrong, ends in anything but one clear Error."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crosstate
import numpy as np
import pytest
from conftest import SMALL
from crosstate import _arguments, dynamics

# Neither is what any annotation asks for; arrays and lists are tried where these are.
WRONG: dict[str, Any] = {
    "object": object(),
    "complex": 3 + 4j,
    "bytes": b"\xff",
    "list": [object()],
    "huge": 2**70,
    "half": 1.5,
    "text": "nonsense\udcff",
    "none": None,
    "truth": True,
    "class": int,
    "dictionary": {"a": 1},
}


class Chip:
    def program(self, array: int, conductances: Any) -> None: ...

    def multiply(self, array: int, voltages: Any) -> Any: ...


def valid(name: str, model: crosstate.Model, xy: Any, path: Path) -> Any:
    """An argument that is right, for those that have no default."""
    values = {
        "model": model, "x": xy[0], "y": xy[1], "other": model, "path": path / "model",
        "directory": path, "file": path / "sweep.toml", "out": path / "out", "steps": 10,
        "name": "pcm", "sample_rate": 4000, "samples": [np.zeros(400)], "labels": ["a"],
        "conductance": [[1e-6]], "voltages": [0.1], "targets": [5.0], "times": [0.0],
        "mean": [[1.0, 2.0]], "sigma": [[0.0, 0.0]], "function": lambda g, t: (g, 0.1),
        "g_min": 1.0, "g_max": 25.0, "seconds": 0.0, "array": 0,
    }
    return values[name]


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """All public functions and methods that take arguments."""
    for module, names in ((crosstate, crosstate.__all__), (dynamics, dynamics.__all__)):
        for name in names:
            made = getattr(module, name)
            if inspect.isfunction(made):
                yield name, made
            elif inspect.isclass(made) and made.__module__.startswith("crosstate"):
                for method, body in vars(made).items():
                    body = getattr(body, "__func__", body)  # of a class method
                    public = method == "__init__" or not method.startswith("_")
                    if public and inspect.isfunction(body):
                        yield f"{name}.{method}", body


# Made by other functions of the package, or by the caller.
NOT_CALLED = {"Description", "Mapping.__init__", "Cells.__init__", "Stream.__init__", "OwnChip",
              "Records", "Run", "Set", "Sets", "TrainProgress"}
CASES = [
    pytest.param(name, function, parameter, id=f"{name}-{parameter.name}")
    for name, function in functions()
    if name not in NOT_CALLED and name.split(".")[0] not in NOT_CALLED
    for parameter in inspect.signature(function).parameters.values()
    if parameter.name not in ("self", "cls")
]


def objects(model: crosstate.Model, rounded: crosstate.Model) -> dict[str, Any]:
    """What methods are called on."""
    return {
        "Model": model, "Data": crosstate.Data.read(), "FrontEnd": crosstate.FrontEnd(4000),
        "Device": crosstate.Device("pcm"), "Cells": crosstate.Device("pcm").program([5.0]),
        "Array": crosstate.Array([[1e-6]]), "Mapping": crosstate.map_model(rounded),
        "Stream": rounded.stream(),
    }


@pytest.mark.parametrize("name,function,parameter", CASES)
def test_wrong_arguments_are_one_error(
    name: str, function: Callable[..., Any], parameter: inspect.Parameter, tmp_path: Path,
    model: crosstate.Model, rounded: crosstate.Model, xy: Any,
) -> None:
    owner = name.split(".")[0] if "." in name else None
    floats = name in ("Model.fit", "Model.qat", "Model.quantize", "Model.prune",
                      "Model.prune_points")
    right = {
        one.name: valid(one.name, rounded, xy, tmp_path)
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
        or one.name in ("steps", "g_min", "g_max") and one.default is one.empty
        if one.name not in ("self", "cls")
    }
    first: list[Any] = []
    if owner is not None:
        if name.endswith("__init__"):
            function, first = getattr(crosstate, owner), []
        else:
            first = [objects(model if floats else rounded, rounded)[owner]]
            if name in ("Data.read", "Data.recordings", "Device.from_table",
                        "Device.from_function", "Model.load"):
                first = [getattr(crosstate, owner)]
    kind = _arguments.kind_of(
        eval(parameter.annotation, inspect.unwrap(function).__globals__)  # noqa: S307
        if isinstance(parameter.annotation, str) and inspect.isfunction(function) else object)
    tried = 0
    for what, wrong in WRONG.items():
        if kind is not None:
            try:
                kind.check(parameter.name, wrong)
                continue  # it is right
            except crosstate.Error:
                pass
        elif what not in ("object", "complex", "list") or name == "settings":
            continue
        tried += 1
        given = dict(right)
        if parameter.kind is parameter.VAR_KEYWORD:
            given["run__seed"] = wrong
            if what == "list":
                given["run__seed"] = {}
        else:
            given[parameter.name] = wrong
        with warnings.catch_warnings(), pytest.raises(crosstate.Error) as caught:
            warnings.simplefilter("error")
            function(*first, **given)
        assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
        if kind is not None:
            assert str(caught.value).startswith((f"{parameter.name} = ", f"{parameter.name}: "))
    assert tried > 0


def test_kinds_of_arguments() -> None:
    def kind(annotation: Any) -> Any:
        found = _arguments.kind_of(annotation)
        assert found is not None
        return found

    assert kind(int).check("n", np.int8(3)) == 3
    assert kind(float).check("g", np.float32(0.5)) == 0.5
    assert kind(bool).check("b", np.bool_(True)) is True
    assert kind(_arguments.Path_).check("p", Path("a/b")) == "a/b"
    assert kind(_arguments.Path_).check("p", b"a/b") == "a/b"
    with pytest.raises(crosstate.Error, match="^n = 2147483648, expected a whole number$"):
        kind(int).check("n", 2**31)
    with pytest.raises(crosstate.Error, match="^n = True, expected a whole number$"):
        kind(int).check("n", True)
    with pytest.raises(crosstate.Error, match="^names: element 1 = 1, expected a text$"):
        kind(crosstate._data.Sequence[str]).check("names", ["a", 1])
    with pytest.raises(crosstate.Error, match=r"^x = an array of shape \(2, 3\), expected a text"):
        kind(str).check("x", np.zeros((2, 3)))
    with pytest.raises(crosstate.Error, match="expected a crosstate.Model, or None$"):
        kind(crosstate.Model | None).check("model", 5)
    with pytest.raises(crosstate.Error, match="with the methods program and multiply$"):
        kind(crosstate.OwnChip).check("chip", Chip)
    assert isinstance(kind(crosstate.OwnChip).check("chip", Chip()), Chip)


def test_none_is_the_default_of_what_is_optional(model: crosstate.Model, rounded: crosstate.Model,
                                                  xy: Any, tmp_path: Path) -> None:
    np.testing.assert_array_equal(model.outputs(xy[0], backend=None), model.outputs(xy[0]))
    data = crosstate.Data(*xy, task=None, names=None, validation=None)
    assert data.arrays().train.classes == ["0", "1"]
    assert crosstate.map_model(rounded, target=None).number_of_arrays > 0
    assert crosstate.Model(**SMALL).fit(*xy, task=None, epochs=1, batch=None).fitted
    # Paths of any kind, also where a name may be given.
    (tmp_path / "own.toml").write_text("[crossbar]\nrows = 32\n")
    settings = crosstate.target_settings(tmp_path / "own.toml")
    assert settings["crossbar"]["rows"] == 32
    assert crosstate.map_model(rounded, target=tmp_path / "own.toml").number_of_arrays > 0
