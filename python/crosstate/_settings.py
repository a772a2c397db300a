"""Keywords as settings of the field list, which C++, command line, TOML and Python share."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from . import _core
from ._arguments import checked, path_text, plain_text, shown
from ._core import Error

Settings = list[tuple[str, str]]


def text_of(key: str, value: object) -> str:
    """The value as the command line would write it."""
    kind = type(value).__name__
    if isinstance(value, bool) or kind == "bool_" or kind == "bool":
        return "true" if value else "false"
    if isinstance(value, str):
        return plain_text(value)
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
    raise Error(f"{key} = {shown(value)}, expected a number, a text, True or False")


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
            key = key_of(section, plain_text(keyword))
            found.append((key, text_of(key, value)))
    return found


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


@checked
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
