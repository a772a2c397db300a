"""Keywords as settings of the field list, which C++, command line, TOML and Python share."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any

from . import _core
from ._core import Error

Settings = list[tuple[str, str]]


def text_of(key: str, value: object) -> str:
    """The value as the command line would write it."""
    kind = type(value).__name__
    if isinstance(value, bool) or kind == "bool_" or kind == "bool":
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return path_text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(float(value))
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # NumPy scalars
        return text_of(key, value.item())
    if isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping)):
        return " ".join(text_of(key, part) for part in value)
    raise Error(f"{key} = {value!r}, expected a number, a text, True or False")


def path_text(path: str | bytes | os.PathLike[Any]) -> str:
    """The path as the library takes it. Raises Error for a path that is not UTF-8 or has a NUL."""
    text = os.fsdecode(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Error(f"{text!a}: is not in UTF-8, expected a path that is") from None
    if "\0" in text:
        raise Error(f"{text!r}: has a NUL character, expected a path")
    return text


def whole(name: str, value: object, low: int = -(2**31), high: int = 2**31 - 1) -> int:
    """The integer of any type. Raises Error for other types and outside of the range."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise Error(f"{name} = {value!r}, expected a whole number") from None
    if not low <= number <= high:
        raise Error(f"{name} = {number}, expected {low} to {high}")
    return number


def key_of(section: str, keyword: str) -> str:
    """``epochs`` is ``train.epochs`` in section ``train``, ``quant__state__bits`` is
    ``quant.state.bits`` everywhere, and so is a name with points."""
    if "__" in keyword:
        return keyword.replace("__", ".")
    return keyword if "." in keyword else f"{section}.{keyword}"


def settings_of(section: str, keywords: Mapping[str, object]) -> Settings:
    """Keywords of a function as keys and texts. A value of None leaves the default."""
    found: Settings = []
    for keyword, value in keywords.items():
        if value is not None:
            key = key_of(section, keyword)
            found.append((key, text_of(key, value)))
    return found


def count_of(name: str, value: int) -> int:
    """A number of steps or the like."""
    return whole(name, value, 1)


def flat(settings: Mapping[str, Any], section: str = "") -> Settings:
    """``{"model": {"channels": 16}}`` as keys and texts."""
    found: Settings = []
    for name, value in settings.items():
        key = f"{section}.{name}" if section else name
        if isinstance(value, Mapping):
            found.extend(flat(value, key))
        else:
            found.append((key, text_of(key, value)))
    return found


def settings(pattern: str = "") -> list[dict[str, Any]]:
    """List the settings of a run.

    Parameters
    ----------
    pattern
        Only settings whose key or description contains this text, in any case.

    Returns
    -------
    list of dict
        ``key``, ``default``, ``help``, ``unit`` and ``allowed`` of each, ready for
        ``pandas.DataFrame``. Every keyword of this package is one of these keys, without its
        section where the function has one, or with ``__`` for each point
        (``quant__state__bits=8``).
    """
    wanted = pattern.lower()
    every: list[dict[str, Any]] = json.loads(_core.settings())
    return [one for one in every if wanted in (one["key"] + " " + one["help"]).lower()]
