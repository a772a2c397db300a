"""Arguments are checked against the annotations of the functions of the package.

:func:`checked` decorates every public function. An argument that is not what its annotation says is
one Error, "NAME = VALUE, expected ...", before any work begins. Integers of any library, paths of any
kind and lists arrive as Python's own.
"""

from __future__ import annotations

import functools
import numbers
import operator
import os
import reprlib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

import numpy as np

from ._core import Error

F = TypeVar("F", bound=Callable[..., Any])

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxlevel = 2


def shown(value: object) -> str:
    """The value as errors show it."""
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return f"an array of shape {value.shape}"
    text = _short.repr(value)
    return text.encode("utf-8", "backslashreplace").decode().replace("\n", " ")


@dataclass(frozen=True)
class Kind:
    """What an argument has to be. ``take`` returns it as the package uses it, and raises TypeError
    or ValueError for others; the message of an Error is passed on."""

    expected: str
    take: Callable[[Any], object]

    def check(self, name: str, value: object) -> Any:
        try:
            return self.take(value)
        except Error as error:
            raise Error(f"{name}: {error}") from None
        except (TypeError, ValueError, OverflowError):
            raise Error(f"{name} = {shown(value)}, expected {self.expected}") from None


def within(low: int, high: int) -> Kind:
    """A whole number in this range."""
    def take(value: Any) -> int:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
        if not low <= number <= high:
            raise ValueError
        return number

    limits = f"from {low}" if high >= 2**31 - 1 else f"from {low} to {high}"
    return Kind(f"a whole number {limits}" if low > -(2**31) else "a whole number", take)


def _real(value: Any) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return bool(value)


def plain_text(text: str) -> str:
    """The text. Raises Error if the library could not take it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Error(f"{text!a} is not in UTF-8, expected a text that is") from None
    return str(text)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return plain_text(value)


def path_text(path: str | bytes | os.PathLike[Any]) -> str:
    """The path as the library takes it. Raises Error for a path that is not UTF-8 or has a NUL."""
    text = os.fsdecode(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Error(f"{text!a} is not in UTF-8, expected a path that is") from None
    if "\0" in text:
        raise Error(f"{text!r} has a NUL character, expected a path")
    return text


def _pair(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple):
        raise TypeError
    first, second = value
    return first, second


def _dictionary(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return {_PLAIN[str].check("a key", key): one for key, one in value.items()}


def _function(value: Any) -> Any:
    if not callable(value):
        raise TypeError
    return value


_PLAIN = {
    int: within(-(2**31), 2**31 - 1),
    float: Kind("a real number", _real),
    bool: Kind("True or False", _truth),
    str: Kind("a text", _text),
}

# --- annotations with a meaning of their own

#: A number of steps, points, bytes, ...
Count = Annotated[int, within(1, 2**63 - 1)]
#: An index.
Index = Annotated[int, within(0, 2**32 - 1)]
Seed = Annotated[int, within(0, 2**64 - 1)]
#: 0: all cores.
Threads = Annotated[int, within(0, 1024)]
#: Concurrent points of a sweep.
Workers = Annotated[int, within(1, 1024)]
SampleRate = Annotated[int, within(1, 1_000_000)]  # as in model files
#: A file or directory: text, bytes or pathlib.Path.
Path_ = Annotated[
    Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"], Kind("a path", path_text)
]
#: Sequences and their targets.
Pair = Annotated[tuple[Any, Any], Kind("a pair (x, y)", _pair)]


def _kind_of_list(element: Kind | None) -> Kind:
    def take(value: Any) -> Any:
        if isinstance(value, (str, bytes, Mapping)):
            raise TypeError
        len(value)
        if element is None:
            iter(value)
            return value
        return [element.check(f"element {i}", one) for i, one in enumerate(value)]

    return Kind("a list or an array", take)


A_LIST = _kind_of_list(None)


def _kind_of_class(cls: type) -> Kind:
    # A protocol: an object with its methods.
    methods = [name for name in vars(cls) if not name.startswith("_")]
    is_protocol = bool(getattr(cls, "_is_protocol", False))

    def take(value: Any) -> Any:
        if is_protocol:
            found = all(callable(getattr(value, name, None)) for name in methods)
            fits = found and not isinstance(value, type)
        else:
            fits = isinstance(value, cls)
        if not fits:
            raise TypeError
        return value

    if is_protocol:
        return Kind("an object with the methods " + " and ".join(methods), take)
    module = "crosstate" if cls.__module__.startswith("crosstate._") else cls.__module__
    return Kind(f"a {module}.{cls.__qualname__}", take)


def _or_none(kind: Kind) -> Kind:
    return Kind(kind.expected + ", or None", lambda v: None if v is None else kind.take(v))


def kind_of(annotation: Any) -> Kind | None:
    """What the annotation asks for; None: anything."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return next((one for one in parts[1:] if isinstance(one, Kind)), None)
    if origin in (Union, types.UnionType):
        others = [part for part in parts if part is not type(None)]
        inner = kind_of(others[0]) if len(others) == 1 else None
        return inner if inner is None or len(others) == len(parts) else _or_none(inner)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Sequence:
        return _kind_of_list(kind_of(parts[0]))
    if origin in (dict, Mapping):
        return Kind("a dictionary", _dictionary)
    if origin is Callable:
        return Kind("a function", _function)
    if isinstance(annotation, type) and annotation not in (object, Any):
        return _kind_of_class(annotation)
    return None


def kinds_of(function: Callable[..., Any]) -> dict[str, Kind]:
    """What each argument has to be, by name, as far as annotations say it."""
    names = function.__code__.co_varnames
    count = function.__code__.co_argcount + function.__code__.co_kwonlyargcount
    kinds = {}
    for name in names[:count]:
        annotation = function.__annotations__.get(name)
        if isinstance(annotation, str):
            annotation = eval(annotation, function.__globals__)  # noqa: S307
        kind = kind_of(annotation)
        if kind is not None:
            kinds[name] = kind
    return kinds


def checked(function: F) -> F:
    """Check the arguments of calls, by the annotations."""
    kinds: dict[str, Kind] = {}
    names = function.__code__.co_varnames[: function.__code__.co_argcount]

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        # At the first call, when all that annotations name is there.
        if not kinds:
            kinds.update(kinds_of(function))
        taken = [
            kinds[name].check(name, value) if name in kinds else value
            for name, value in zip(names, values)
        ]
        for name, value in named.items():
            if name in kinds:
                named[name] = kinds[name].check(name, value)
        return function(*taken, *values[len(taken) :], **named)

    return cast(F, call)
