"""The safetensors container (https://github.com/huggingface/safetensors) as arrays."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core import Error

Arrays = dict[str, npt.NDArray[Any]]

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "U8": "u1", "BOOL": "u1"}


def parse(data: bytes, where: str) -> tuple[Arrays, dict[str, str]]:
    """Tensors and metadata of a file; `where` names it in errors."""
    try:
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        body = memoryview(data)[8 + size :]
        metadata = header.pop("__metadata__", {})
        arrays: Arrays = {}
        for name, entry in header.items():
            first, end = entry["data_offsets"]
            if entry["dtype"] == "BF16":
                upper = np.frombuffer(body[first:end], "<u2").astype(np.uint32) << 16
                values: npt.NDArray[Any] = upper.view(np.float32)
            elif entry["dtype"] in _TYPES:
                values = np.frombuffer(body[first:end], _TYPES[entry["dtype"]])
            else:
                raise Error(f"{where}: tensor '{name}' has type {entry['dtype']}, expected numbers")
            arrays[name] = values.reshape(entry["shape"])
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, Error):
            raise
        raise Error(f"{where}: not a safetensors file ({error})") from None
    return arrays, metadata


def format_(arrays: Arrays, metadata: dict[str, str]) -> bytes:
    """The bytes of a file; integers keep their type, other tensors are float32."""
    integers = {np.dtype(code): kind for kind, code in _TYPES.items() if kind[0] in "IU"}
    header: dict[str, Any] = {"__metadata__": metadata}
    chunks, at = [], 0
    for name in sorted(arrays):
        kind = integers.get(arrays[name].dtype, "F32")
        values = np.ascontiguousarray(arrays[name], _TYPES[kind]).tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(arrays[name].shape),
            "data_offsets": [at, at + len(values)],
        }
        chunks.append(values)
        at += len(values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(chunks)
