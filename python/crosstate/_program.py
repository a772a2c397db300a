"""The console script ``crosstate``: the program of the package, with its data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_package = Path(__file__).parent


def data_directory() -> Path | None:
    """The data of an installed package; None in a build tree, whose library knows its own."""
    directory = _package / "data"
    return directory if directory.is_dir() else None


def main() -> None:
    program = _package / "bin" / "crosstate"
    environment = dict(os.environ)
    directory = data_directory()
    if directory is not None:
        environment.setdefault("CROSSTATE_DATA_DIR", str(directory))
    os.execve(program, ["crosstate", *sys.argv[1:]], environment)
