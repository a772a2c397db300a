#!/usr/bin/env python3
"""Compare chips with those of CrossSim: errors of the states behind one recurrent layer on arrays.

    python bench/crosssim.py MODEL --peer DIRECTORY --data MNIST

DIRECTORY is a checkout of CrossSim 3 (github.com/sandialabs/cross-sim, needs NumPy and SciPy). The
recurrence of the first block is on arrays, all rows driven at once; everything else is exact. Both
simulators get the same conductances, the same deviation of programmed cells and the same read noise,
relative to the conductance of a cell, and draw their own chips. CrossSim computes the products as an
external chip (docs/external-chip.md). The table has the root-mean-square errors of states against
the integer network, by the magnitude of the pole, as mean over chips with its standard error.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import shlex
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "examples"))


def serve(options: argparse.Namespace) -> None:
    """Answers the protocol of external chips with cells of CrossSim."""
    sys.path.insert(0, str(options.peer))
    import simulated_chip
    from simulator import CrossSimParameters
    from simulator.backend import ComputeBackend
    from simulator.cores.numeric_core import NumericCore

    ComputeBackend(use_gpu=False)
    params = CrossSimParameters()
    for error, magnitude in ((params.xbar.device.programming_error, options.error),
                             (params.xbar.device.read_noise, options.noise)):
        error.enable = magnitude > 0
        error.model = "NormalProportionalDevice"
        error.magnitude = magnitude
    np.random.seed(options.seed)  # the generator that CrossSim uses

    class Chip:
        def __init__(self, arrays: int, rows: int, bit_lines: int, _: Any) -> None:
            self.rows, self.bit_lines = rows, bit_lines
            self.cores = [NumericCore(params) for _ in range(arrays)]
            self.largest = [1.0] * arrays

        def program(self, array: int, conductances: list[list[float]]) -> None:
            cells = np.array(conductances)
            self.largest[array] = float(cells.max())  # CrossSim normalises conductances
            self.cores[array].set_matrix(cells.T / self.largest[array])

        def age(self, seconds: float) -> None:
            """These cells do not drift."""

        def multiply(self, array: int, first: int, count: int,
                     voltages: list[list[float]]) -> list[list[float]]:
            core, scale = self.cores[array], self.largest[array]
            # One vector after the other: each product reads the cells anew.
            return [(scale * core.run_xbar_mvm(np.array(volts))[first:first + count]).tolist()
                    for volts in voltages]

    simulated_chip.Chip = Chip
    session = argparse.Namespace(die_after=0, slow=0, nonsense=0, kind="text")
    simulated_chip.Session(session).run()


def errors_of_states(options: argparse.Namespace, seed: int, peer: bool) -> dict[str, float]:
    """RMS over time of the errors of states of one chip, by magnitude of the pole."""
    digital = ["encoder", "pointwise", "decoder"]
    digital += [f"{site}.{block}" for block in range(1, options.blocks) for site in "AC"]
    settings = ["crossbar.driven=all", "simulate.sequences=1",
                "crossbar.digital=" + ", ".join(digital)]
    if peer:
        driver = [sys.executable, str(pathlib.Path(__file__).resolve()), "-", "--serve", "--peer",
                  str(options.peer), "--error", str(options.error), "--noise", str(options.noise),
                  "--seed", str(seed)]
        settings.append("external.command=" + shlex.join(driver))
        settings.append("external.timeout=600")
    else:
        settings += [f"device.programming_noise={options.error}",
                     f"device.read_noise={options.noise}"]
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([options.program, "simulate", options.model, "--target", "ideal", "--data",
                        options.data, "--chips", "1", "--seed", str(seed), "--out", out,
                        "--overwrite", "--state-errors", str(options.sequences), "--quiet",
                        "--json", f"{out}/result.json"]
                       + [word for setting in settings for word in ("--set", setting)], check=True)
        groups = json.loads(pathlib.Path(f"{out}/result.json").read_text())["state_errors"]
    return {f"{g['low']:g} to {g['high']:g}": math.sqrt(np.mean(np.square(g["rms"])))
            for g in groups}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--peer", type=pathlib.Path, required=True, help="checkout of CrossSim")
    parser.add_argument("--data", default="", help="directory of MNIST")
    parser.add_argument("--program", default=str(REPOSITORY / "build/release/crosstate"))
    parser.add_argument("--blocks", type=int, default=3, help="blocks of the model")
    parser.add_argument("--chips", type=int, default=10)
    parser.add_argument("--sequences", type=int, default=1)
    parser.add_argument("--error", type=float, default=0.03, help="of programmed conductances")
    parser.add_argument("--noise", type=float, default=0.01, help="of a read")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return 0
    found = {peer: [errors_of_states(options, options.seed + i, peer)
                    for i in range(options.chips)] for peer in (False, True)}
    print(f"{options.chips} chips each, {options.sequences} sequences; deviation of programmed "
          f"cells {options.error:g}, of a read {options.noise:g}\n")
    print("| \\|A\\| | here (codes) | CrossSim (codes) | difference in standard errors |")
    print("|---|---|---|---|")
    worst = 0.0
    for group in found[False][0]:
        means, squares = [], 0.0
        for peer in (False, True):
            values = np.array([chip[group] for chip in found[peer]])
            means.append((values.mean(), values.std(ddof=1) / math.sqrt(len(values))))
            squares += means[-1][1] ** 2
        apart = (means[1][0] - means[0][0]) / math.sqrt(squares) if squares > 0 else 0.0
        worst = max(worst, abs(apart))
        print(f"| {group} | " + " | ".join(f"{m:.4f} ± {e:.4f}" for m, e in means)
              + f" | {apart:+.1f} |")
    return 0 if worst < 3 else 1


if __name__ == "__main__":
    sys.exit(main())
