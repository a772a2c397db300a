#!/usr/bin/env python3
"""Answers from finished results, for the claims' scripts.

Usage: pick.py bytes RUN             total bytes of the QAT network of a training run
       pick.py sizes SWEEP           total bytes of the finished points of a sweep, once each
       pick.py front QUANTIZE        names of the models of a front, from the most precise on
       pick.py cheapest QUANTIZE     name of the model of a front with the fewest bytes
       pick.py smallest EVAL PRUNE.. of pruned networks, the one with the fewest parameters that is
                                     at least as accurate as an evaluated one; of none, the best
       pick.py fewest EVAL QUANTIZE.. likewise, of the formats of fronts, the one of the fewest bytes
"""

import csv
import json
import pathlib
import sys


def read(path):
    return json.loads(path.read_text())


def run_bytes(run):
    return read(run / "summary.json")["qat"]["memory"]["total"]


def sweep_sizes(sweep):
    with (sweep / "results.csv").open() as file:
        return sorted({int(float(r["bytes"])) for r in csv.DictReader(file) if r["status"] == "done"})


def front(quantized):
    return [point["file"] for point in read(quantized / "quantize.json")["front"]]


def cheapest(quantized):
    return min(read(quantized / "quantize.json")["front"], key=lambda p: p["bytes"])["file"]


def smallest(evaluated, *pruned):
    least = read(evaluated / "eval.json")["accuracy"]
    points = [(p, run / p["file"]) for run in pruned
              for model in read(run / "prune.json")["models"] for p in model["points"]]
    return accurate(points, least, "parameters")


def fewest(evaluated, *quantized):
    least = read(evaluated / "eval.json")["accuracy"]
    points = [(p, run / p["file"]) for run in quantized for p in read(run / "quantize.json")["front"]]
    return accurate(points, least, "bytes")


def accurate(points, least, size):
    """The smallest that is accurate enough, else the most accurate."""
    enough = [p for p in points if p[0]["accuracy"] >= least]
    if enough:
        return min(enough, key=lambda p: p[0][size])[1]
    return max(points, key=lambda p: p[0]["accuracy"])[1]


def main():
    what, paths = sys.argv[1], [pathlib.Path(p) for p in sys.argv[2:]]
    answers = {"bytes": run_bytes, "sizes": sweep_sizes, "front": front, "cheapest": cheapest,
               "smallest": smallest, "fewest": fewest}
    answer = answers[what](*paths)
    print(*answer if isinstance(answer, list) else [answer], sep="\n")


if __name__ == "__main__":
    main()
