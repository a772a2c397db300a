"""Reads the results of each claim's commands: tables and charts as plain data.

One function per claim, (its directory, the networks' directory) -> {"tables", "charts"}.
A table is title, columns, rows; a chart what chart.line_chart or bar_chart takes, and its kind.
"""

import csv
import json
import math
import pathlib
import statistics


DATA = {"sample": "Built-in sample", "mnist": "Sequential MNIST",
        "psmnist": "Permuted sequential MNIST", "fsdd": "Spoken digits", "gsc": "Speech Commands"}


def read(path):
    return json.loads(path.read_text())


def machine(networks, directory):
    for path in [*sorted(networks.rglob("summary.json")), *sorted(directory.rglob("*.json"))]:
        found = read(path).get("machine")
        if found:
            return found
    return None


def percent(share):
    return None if share is None else 100.0 * share


def interval(result, key="accuracy"):
    """The 95 % interval of a share in a result of the program, in percent."""
    ends = result.get(f"{key}_interval")
    return "" if ends is None else f"{percent(ends[0]):.2f} to {percent(ends[1]):.2f}"


def wilson(share, count):
    """Wilson's interval (95 %) of a share of right decisions, as crosstate/task/statistics.h."""
    z2 = 1.959963984540054**2 / count
    centre = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def table(title, columns, rows):
    return {"title": title, "columns": columns, "rows": rows}


def point(x, value, spread=0.0):
    return [x, value, value - spread, value + spread] if spread else [x, value, None, None]


def plot(kind, title, x_label, y_label, series, **more):
    named = [{"name": name, "points": points} for name, points in series.items()]
    return {"kind": kind, "title": title, "x_label": x_label, "y_label": y_label,
            "series": named, **more}


def complexity(directory, _):
    tables, charts = [], []
    for data, title in DATA.items():
        if (directory / data / "cost" / "cost.json").is_file():
            one = complexity_of(directory / data, title)
            tables.append(one[0])
            charts.append(one[1])
    return {"tables": tables, "charts": charts}


# The networks of the complexity claim, in the order of its commands.
NETWORKS = {"wide": "wide, float",
            "wide-ptq": "wide, 8-bit PTQ",
            "small": "small, float",
            "smallest": "smallest float of equal accuracy",
            "fitted": "pruned float, PTQ of equal accuracy",
            "quantized": "small, trained with rounding"}


def complexity_of(directory, title):
    cost = read(directory / "cost" / "cost.json")
    evaluated = [read(directory / "eval" / n / "eval.json") for n in NETWORKS]
    energies = {t["technology"]["name"]: dict(zip(NETWORKS, t["estimates"]))
                for t in cost["targets"]}
    digital = energies["accelerator-45nm"]
    measures = {
        "parameters": [m["parameters"] for m in cost["models"]],
        "weight bits": [m["weight_bits"] for m in cost["models"]],
        "state bits": [m["state_bits"] for m in cost["models"]],
        "total bytes": [m["memory_bytes"]["total"] for m in cost["models"]],
        "bit operations": [m["operations"]["per_inference"]["bit_operations"]
                           for m in cost["models"]],
        "energy at 45 nm, nJ": [energy_nj(digital[n]) for n in NETWORKS],
    }
    rows = [["test accuracy, %", *(percent(e["accuracy"]) for e in evaluated), None, ""],
            ["95 % interval, %", *map(interval, evaluated), None, ""]]
    small = NETWORKS["quantized"]
    bars = {f"{label} / {small}": [] for label in list(NETWORKS.values())[:-1]}
    for name, values in measures.items():
        span, low, high = "", None, None
        if name.startswith("energy"):
            over = digital["quantized"]["over_first"]["energy"]
            low, high = 1 / over["high"], 1 / over["low"]
            span = f"{low:.1f} to {high:.1f}"
        rows.append([name, *values, values[0] / values[-1], span])
        short = name.split(",")[0].replace("energy at 45 nm", "energy")
        for label, value in zip(bars, values):
            ends = [low, high] if label.startswith("wide, float") else [None, None]
            bars[label].append([short, value / values[-1], *ends])
    columns = ["per inference", *NETWORKS.values(), f"wide, float / {small}", "range"]
    # Only the quantized network runs on crossbars; the wide one runs on the accelerator.
    small_on = energies["crossbar-14nm"]["quantized"]["energy_pj"]["per_inference"]
    wide_on = digital["wide"]["energy_pj"]["per_inference"]
    ratios = [wide_on["typical"] / small_on["typical"], wide_on["low"] / small_on["high"],
              wide_on["high"] / small_on["low"]]
    between = [None] * (len(NETWORKS) - 2)
    rows.append(["energy: wide at 45 nm, the last on 14 nm crossbars, nJ",
                 wide_on["typical"] / 1000, *between, small_on["typical"] / 1000,
                 ratios[0], f"{ratios[1]:.2f} to {ratios[2]:.2f}"])
    bars[f"wide, float / {small}"].append(["on crossbars", *ratios])
    return (table(f"{title}: float networks, and what rounding without training makes of them, "
                  "against a small network trained with rounding", columns, rows),
            plot("bar", f"{title}: reduction by the small network", "", "ratio",
                 bars, log_y=True))


def energy_nj(estimate):
    return estimate["energy_pj"]["per_inference"]["typical"] / 1000


def done(path):
    """The finished points of a sweep."""
    with path.open() as file:
        return [r for r in csv.DictReader(file) if r["status"] == "done"]


def on_front(points):
    """Of (size, accuracy): whether no other is at least as small and at least as accurate, or equal."""
    return [not any(o[0] <= p[0] and o[1] >= p[1] and o != p for o in points) for p in points]


def precision(directory, _):
    cells, rows, lines = {}, [], {}
    for r in done(directory / "sweep" / "results.csv"):
        key = (r["quant.preset"], int(r["model.channels"]))
        cells.setdefault(key, []).append((percent(float(r["accuracy"])), float(r["bytes"])))
    means = {k: (statistics.fmean(a for a, _ in v), v[0][1],
                 statistics.stdev(a for a, _ in v) if len(v) > 1 else 0.0)
             for k, v in cells.items()}
    marks = on_front([(size, accuracy) for accuracy, size, _ in means.values()])
    for ((preset, channels), (accuracy, size, spread)), front in sorted(
            zip(means.items(), marks), key=lambda m: m[0][1][1]):
        rows.append([preset, channels, int(size), accuracy, spread, "front" if front else ""])
        lines.setdefault(preset, []).append(point(size, accuracy, spread))
    columns = ["precision", "channels", "total bytes", "accuracy, %", "± between seeds", ""]
    bits_table, bits_chart = bits(directory)
    return {"tables": [table("Size against numerical precision, QAT", columns, rows),
                       bits_table],
            "charts": [plot("line", "Accuracy against size", "total bytes", "test accuracy, %",
                            lines, log_x=True), bits_chart]}


def bits(directory):
    """One network at w2a2s2 to w8a8s8: accuracy of four ways to quantize, and their bytes."""
    fitted = {int(p.name): percent(read(p / "quantize.json")["accuracy"])
              for p in (directory / "fitted").iterdir()}
    shaped = {r["quant.preset"]: r for r in done(directory / "shaped" / "results.csv")}
    rows = []
    lines = {"PTQ, naive": [], "PTQ, best": [], "QAT, nearest": [], "QAT, noise-shaped": []}
    for r in done(directory / "bits" / "results.csv"):
        preset, size = r["quant.preset"], int(float(r["bytes"]))
        other = shaped[preset]
        own = int(float(other["bytes"]))
        naive, trained = percent(float(r["ptq_accuracy"])), percent(float(r["integer_accuracy"]))
        kept = percent(float(other["integer_accuracy"]))
        rows.append([int(preset.split("a")[0].removeprefix("w")), size, naive, fitted[size],
                     trained, own, kept])
        for (x, y), points in zip(((size, naive), (size, fitted[size]), (size, trained),
                                   (own, kept)), lines.values()):
            points.append(point(x, y))
    columns = ["bits", "total bytes", "PTQ, naive, %", "PTQ, best within these bytes, %",
               "QAT, state rounded to nearest, %", "total bytes with residue",
               "QAT, noise-shaped state, %"]
    lines = {name: sorted(points) for name, points in lines.items()}
    return (table("Weights, activations and state at the same bits; the best PTQ chooses its own",
                  columns, sorted(rows)),
            plot("line", "Four ways to quantize one network", "total bytes", "test accuracy, %",
                 lines))


def fronts(directory, _):
    """Bytes and bit operations of one network in many formats against its accuracy."""
    tables, charts = [], []
    for data, title in DATA.items():
        here = directory / data
        if not (here / "kinds.txt").is_file():
            continue
        kinds = (here / "kinds.txt").read_text().splitlines()
        found = []
        for number, (kind, model) in enumerate(zip(kinds, read(here / "cost" / "cost.json")["models"])):
            result = read(here / "eval" / str(number) / "eval.json")
            found.append((kind, model["memory_bytes"]["total"],
                          model["operations"]["per_inference"]["bit_operations"],
                          percent(result["accuracy"]), interval(result)))
        on = [["front" if mark else "" for mark in on_front([(f[i], f[3]) for f in found])]
              for i in (1, 2)]
        rows = sorted(([*f, *marks] for f, *marks in zip(found, *on)), key=lambda row: row[1])
        columns = ["format", "total bytes", "bit operations", "accuracy, %", "95 % interval, %",
                   "by bytes", "by bit operations"]
        tables.append(table(f"{title}: one network in several formats", columns, rows))
        for column, label in ((1, "total bytes"), (2, "bit operations")):
            # Of pruned networks, only what is on the front: a line for each would hide the others.
            lines = {}
            for f, mark in zip(found, on[column - 1]):
                if "pruned by" not in f[0]:
                    lines.setdefault(f[0].split(",")[0], []).append(point(f[column], f[3]))
                elif mark:
                    training = f[0].split(",")[0]
                    lines.setdefault(f"{training} of pruned networks", []).append(
                        point(f[column], f[3]))
            charts.append(plot("line", f"{title}: accuracy against {label}", label,
                               "test accuracy, %", lines, log_x=True))
    return {"tables": tables, "charts": charts}


TRAININGS = {"ptq": "PTQ, naive",
             "fitted": "PTQ, best within the bytes of QAT",
             "ptq16": "PTQ, naive, 16-bit activations and state",
             "qat": "QAT",
             "noise": "QAT with 5 % weight noise",
             "target": "QAT for the target"}


def chips_of(result):
    return [(percent(a["accuracy_mean"]), percent(a["accuracy_std"])) for a in result["ages"]]


def chips(path):
    return chips_of(read(path))


def kinds_in(directory):
    return {k: label for k, label in TRAININGS.items() if (directory / k).is_dir()}


def robustness(directory, _):
    tables, charts = [], []
    for data, title in DATA.items():
        here = directory / data
        if not here.is_dir():
            continue
        for part, kind, x_label in (("noise", "line", "programming noise, relative"),
                                    ("targets", "bar", "target")):
            names = sorted(p.name for p in (here / part / "qat").iterdir())
            for age, when in enumerate(("",) if part == "noise" else (", fresh", ", after a day")):
                series, rows = {}, []
                for training, label in kinds_in(here / part).items():
                    ends = [chips(here / part / training / n / "simulate.json")[age] for n in names]
                    rows.append([label, *(f"{m:.1f} ± {s:.1f}" for m, s in ends)])
                    xs = [float(n) for n in names] if part == "noise" else names
                    series[label] = [point(x, *e) for x, e in zip(xs, ends)]
                heading = f"{title}: accuracy on chips by {x_label}{when}, %"
                tables.append(table(heading, ["network", *names], rows))
                charts.append(plot(kind, heading, x_label, "test accuracy, %", series))
        if (here / "years").is_dir():
            rows = []
            for cells in sorted((here / "years").iterdir()):
                ages = read(cells / "simulate.json")["ages"]
                rows.append([f"{cells.name} per weight", *(f"{m:.1f} ± {s:.1f}" for m, s in
                                                         chips(cells / "simulate.json"))])
            columns = ["pairs", *(duration(a["seconds_since_programming"]) for a in ages)]
            tables.append(table(f"{title}: phase-change memory by age, trained for a year, %",
                                columns, rows))
    return {"tables": tables, "charts": charts}


def duration(seconds):
    for unit, name in ((31536000, "y"), (86400, "d"), (3600, "h")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def pruning(directory, _):
    tables, charts = [], []
    for what, key in (("states", "states_removed"), ("channels", "stream_channels_removed")):
        series, rows = {}, []
        for model in read(directory / what / "prune.json")["models"]:
            kind = "QAT" if model["quantized"] else "float"
            for stage, field in (("retrained", "accuracy"), ("pruned only", "accuracy_one_shot")):
                line = [point(0.0, percent(model["accuracy"]))]
                line += [point(percent(p[key]), percent(p[field])) for p in model["points"]]
                series[f"{kind}, {stage}"] = line
            for p in model["points"]:
                rows.append([kind, percent(p[key]), p["parameters"], p["memory"]["total"],
                             percent(p["accuracy_one_shot"]), percent(p["accuracy"]), interval(p)])
        columns = ["network", f"{what} removed, %", "parameters", "total bytes",
                   "accuracy pruned only, %", "retrained, %", "95 % interval, %"]
        tables.append(table(f"Fraction of {what} removed", columns, rows))
        charts.append(plot("line", f"Accuracy against {what} removed", f"{what} removed, %",
                           "test accuracy, %", series))
    rows = []
    for model in read(directory / "both" / "prune.json")["models"]:
        kind = "QAT" if model["quantized"] else "float"
        for p in model["points"]:
            rows.append([kind, percent(p["states_removed"]), percent(p["stream_channels_removed"]),
                         p["parameters"], p["memory"]["total"], percent(model["accuracy"]),
                         percent(p["accuracy_one_shot"]), percent(p["accuracy"]), interval(p)])
    columns = ["network", "states removed, %", "channels removed, %", "parameters", "total bytes",
               "accuracy before, %", "pruned only, %", "retrained, %", "95 % interval, %"]
    tables.append(table("States and channels removed", columns, rows))
    return {"tables": tables, "charts": charts}


def ternary(directory, networks):
    tasks = {}
    for entry in (directory / "tasks.txt").read_text().splitlines():
        task, network = entry.split("\t")
        run = read(networks / network / "summary.json")
        run["fitted"] = read(networks / f"{network}-fitted" / "quantize.json")
        tasks.setdefault(task, []).append(run)
    rows, bars = [], {"float": [], "PTQ, naive": [], "PTQ, best": [], "QAT": []}
    for task, runs in tasks.items():
        row = [task, len(runs)]
        for label, stage in zip(bars, ("float", "ptq", "fitted", "qat")):
            shares = [percent(r[stage]["accuracy"]) for r in runs]
            mean = statistics.fmean(shares)
            spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
            bars[label].append(point(task, mean, spread))
            row.append(f"{mean:.2f} ± {spread:.2f}" if spread else mean)
        # Of the mean over seeds, which share their test sequences.
        mean = statistics.fmean(r["qat"]["accuracy"] for r in runs)
        low, high = map(percent, wilson(mean, runs[0]["test_sequences"]))
        rows.append(row + [f"{low:.2f} to {high:.2f}", runs[0]["float"]["memory"]["total"],
                           runs[0]["qat"]["memory"]["total"]])
    columns = ["task", "seeds", "float, %", "PTQ, naive, %", "PTQ, best within the bytes of QAT, %",
               "QAT, %", "95 % interval of QAT, %",
               "bytes, float", "bytes, quantized"]
    return {"tables": [table("Ternary weights everywhere, 8-bit activations and state", columns, rows)],
            "charts": [plot("bar", "Test accuracy by training", "", "test accuracy, %", bars)]}


def memristive(directory, _):
    rows, bars = [], {"fresh": [], "after a day": []}
    for path in sorted((directory / "deploy").iterdir()):
        placed = read(path / "deploy.json")
        ages = chips(directory / "simulate" / path.name / "simulate.json")
        for name, age in zip(bars, ages):
            bars[name].append(point(path.name, *age))
        rows.append([path.name, len(placed["arrays"]), placed["pairs_per_array"],
                     percent(placed["utilisation"]), *(f"{m:.1f} ± {s:.1f}" for m, s in ages)])
    columns = ["target", "arrays", "pairs per array", "pairs in use, %", "accuracy fresh, %",
               "after a day, %"]
    tables = [table("On the arrays of every target", columns, rows)]

    targets = read(directory / "cost" / "cost.json")["targets"]
    rows, energies = [], []
    for t in targets:
        name, e = t["technology"]["name"], t["estimates"][0]
        energy = {k: v / 1e6 for k, v in e["energy_pj"]["per_inference"].items()}
        energies.append([name.replace("crossbar", "xbar").replace("accelerator", "digital"),
                         energy["typical"], energy["low"], energy["high"]])
        row = [name, energy["typical"], f"{energy['low']:.2f} to {energy['high']:.2f}",
               e["latency_ns"]["per_inference"]["typical"] / 1e3]
        for same in t.get("same_node", []):
            over = same["crossbars_over_sram"]
            row += [f"{same['energy_linear_pj'] / 1e6:.3g} / {same['energy_square_pj'] / 1e6:.3g}",
                    over["typical"], f"{over['low']:.2f} to {over['high']:.2f}"]
        rows.append(row + [""] * (7 - len(row)))
    columns = ["hardware", "energy, uJ", "range", "latency, us",
               "digital, same node, uJ (linear / square)", "crossbars / digital", "range"]
    tables.append(table("One inference on hardware", columns, rows))
    return {"tables": tables,
            "charts": [plot("bar", "Accuracy on chips", "target", "test accuracy, %", bars),
                       plot("bar", "Energy per inference, typical and range", "", "uJ",
                            {"quantized network": energies}, log_y=True)]}


OPTIONS = {"all": "all options",
           "recurrence": "recurrence: A instead of A - 1",
           "driven": "driven: all rows at once",
           "drive_halvings": "drive_halvings: one level for all rows",
           "increment_range": "increment_range: that of the codes",
           "compensation": "compensation: none",
           "ir_drop_iterations": "ir_drop_iterations: none"}


def ablation(directory, _):
    tables, charts = [], []
    titles = {**DATA, "mnist": "Sequential MNIST, first 1,000 test images",
              "mnist-all": "Sequential MNIST, all test images"}
    for data in sorted(p.name for p in directory.iterdir() if p.is_dir() and p.name in titles):
        rows, bars = [], {}
        for option, label in OPTIONS.items():
            row = [label]
            for floors in ("on", "off"):
                found = read(directory / data / floors / option / "simulate.json")
                count = len(found["ages"][0]["accuracy"])
                for age, (mean, spread) in zip(found["ages"], chips_of(found)):
                    error = spread / math.sqrt(count)
                    row.append(f"{mean:.2f} ± {error:.2f}")
                    series = f"{duration(age['seconds_since_programming'])}, floors {floors}"
                    bars.setdefault(series, []).append(point(option, mean, error))
            rows.append(row)
        times = [f"{name}, floors {floors}, %" for floors in ("on", "off") for name in
                 (duration(a["seconds_since_programming"]) for a in found["ages"])]
        heading = (f"{titles[data]}: TaOx-like chips without one option, mean and standard error of "
                   f"{count} chips")
        tables.append(table(heading, ["without", *times], rows))
        charts.append(plot("bar", f"{titles[data]}: accuracy without one option", "",
                           "test accuracy, %", bars))
    return {"tables": tables, "charts": charts}


# Accuracies of the paper (arXiv 2412.20215), in percent: two classes of spiking digits.
IMSSA = {"software": 95.06, "silicon": 81.69}


def imssa(directory, _):
    groups = {}
    for entry in (directory / "networks.txt").read_text().splitlines():
        group, name = entry.split("\t")
        groups.setdefault(group, []).append(network_on_chips(directory, name))
    ages = next(iter(groups.values()))[0]["ages"]
    after = [f"chips after {age}" for age in ages]
    rows, bars = [], {name: [] for name in ("software", *after, "silicon")}
    for group, found in groups.items():
        software = [n["software"] for n in found]
        rows.append([group, len(found), found[0]["sequences"], spread(software),
                     *(on_age(found, i) for i in range(len(ages))),
                     min(min(n["worst"]) for n in found), max(n["arrays"] for n in found)])
        bars["software"].append(point(group, statistics.fmean(software)))
        for i, name in enumerate(after):
            mean = statistics.fmean(n["means"][i] for n in found)
            bars[name].append(point(group, mean, between_chips(found, i)))
    rows.append(["IMSSA", 1, "", f"{IMSSA['software']}", f"{IMSSA['silicon']}, age not known",
                 *[""] * (len(ages) - 1), "", 3])
    bars["software"].append(point("IMSSA", IMSSA["software"]))
    bars["silicon"].append(point("IMSSA", IMSSA["silicon"]))
    columns = ["networks", "number", "test sequences of each",
               "integer network, % (± between networks)",
               *(f"{name}, % (± between chips)" for name in after), "worst chip, %", "arrays"]
    once = {n["name"]: n for found in groups.values() for n in found}  # some are in two groups
    each = [[name, n["software"], *(f"{m:.2f} ± {s:.2f}" for m, s in zip(n["means"], n["stds"])),
             min(n["worst"])] for name, n in once.items()]
    names = ["network", "integer network, %", *(f"{name}, %" for name in after), "worst chip, %"]
    cells = worse_cells(directory)
    return {"tables": [table("Two classes on three 64 x 64 arrays", columns, rows), cells[0],
                       table("Every network", names, each)],
            "charts": [plot("bar", "Two classes on three arrays", "", "test accuracy, %", bars),
                       cells[1]]}


def worse_cells(directory):
    """Accuracy against the deviation of the cells, over the networks that were tested on them."""
    rows, points = [], []
    for level in sorted((directory / "cells").iterdir(), key=lambda p: float(p.name)):
        ages = [read(p / "simulate.json")["ages"][0] for p in sorted(level.iterdir())]
        mean = percent(statistics.fmean(a["accuracy_mean"] for a in ages))
        deviation = percent(math.sqrt(statistics.fmean(a["accuracy_std"] ** 2 for a in ages)))
        worst = percent(min(a["accuracy_worst"] for a in ages))
        share = percent(float(level.name))
        rows.append([share, len(ages), f"{mean:.2f} ± {deviation:.2f}", worst])
        points.append(point(share, mean, deviation))
    ends = [points[0][0], points[-1][0]]
    lines = {"simulated chips": points, "silicon (IMSSA)": [point(x, IMSSA["silicon"]) for x in ends]}
    columns = ["deviation of a cell, % of the largest conductance", "networks",
               "accuracy, % (± between chips)", "worst chip, %"]
    return (table("Fresh chips with worse cells", columns, rows),
            plot("line", "Two classes on worse cells", "deviation of a cell, % of g_max",
                 "test accuracy, %", lines))


def network_on_chips(directory, name):
    integer = read(directory / "integer" / name / "eval.json")
    ages = read(directory / "chips" / name / "simulate.json")["ages"]
    return {"name": name,
            "software": percent(integer["accuracy"]), "sequences": integer["sequences"],
            "arrays": len(read(directory / "deploy" / name / "deploy.json")["arrays"]),
            "ages": [duration(a["seconds_since_programming"]) for a in ages],
            "means": [percent(a["accuracy_mean"]) for a in ages],
            "stds": [percent(a["accuracy_std"]) for a in ages],
            "worst": [percent(a["accuracy_worst"]) for a in ages]}


def spread(values):
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{deviation}"


def between_chips(found, age):
    """Standard deviation over the chips of one network, root mean square over networks."""
    return math.sqrt(statistics.fmean(n["stds"][age] ** 2 for n in found))


def on_age(found, age):
    return f"{statistics.fmean(n['means'][age] for n in found):.2f} ± {between_chips(found, age):.2f}"


PLACEMENTS = {"all-analog": "none",
              "a": "A",
              "all-but-pointwise": "A, C, encoder, decoder"}
FORMATS = {"w8a8s8": "8 bits", "w4a4s8": "4 bits", "w2a4s8": "ternary weights, 4 bits"}


def energy(directory, _):
    placed, series = [], {}
    for form, words in FORMATS.items():
        for placement, digital in PLACEMENTS.items():
            path = directory / "cost" / form / placement / "cost.json"
            if not path.is_file():
                continue
            for name, widths, over in ratios(path, "sram"):
                placed.append([name, words, digital, *map(with_range, over), first_below(widths, over)])
                if placement == "all-but-pointwise":
                    points = series.setdefault(words, {})
                    shift = 1.05 ** len(points)  # so that error bars do not hide each other
                    points[name] = [[w * shift, o["typical"], o["low"], o["high"]]
                                    for w, o in zip(widths, over)]
    columns = ["arrays", "format", "digital sites", *(f"{w} channels" for w in widths),
               "wholly below 1 from"]
    tables = [table("Energy of arrays over that of the same network on a digital accelerator at "
                    "the same node: typical (low to high)", columns, sorted(placed))]
    for rival, weights, title in (
            ("half-control", "sram", "With A, C, encoder and decoder digital, if the low end of "
             "clock and registers of the accelerator is half as large"),
            ("macro", "nonvolatile", "With A, C, encoder and decoder digital, over a digital macro "
             "with products beside the weights, which computes the digital sites as well")):
        rows = [[name, FORMATS[form.name], *map(with_range, over), first_below(widths, over)]
                for form in sorted((directory / rival).iterdir())
                for name, widths, over in ratios(form / "cost.json", weights)]
        tables.append(table(title, columns[:2] + columns[3:], sorted(rows)))
    tables.append(equal_accuracy(directory / "equal" / "cost.json"))
    tables += [fan_in_table(directory / "fan-in", "a digital accelerator"), budget_table(directory),
               fan_in_table(directory / "fan-in-macro", "a digital macro")]
    charts = [plot("line", f"Arrays over digital, pointwise layers on arrays, {words}", "channels",
                   "energy, ratio", points, log_x=True, log_y=True)
              for words, points in series.items()]
    return {"tables": tables, "charts": charts}


def ratios(path, weights):
    """Of each target of crossbars: name, channels of the models, and their ranges of the ratio."""
    cost = read(path)
    widths = [int(pathlib.PurePath(m["file"]).parent.name.split("-")[1]) for m in cost["models"]]
    return [(t["technology"]["name"], widths,
             [s[f"crossbars_over_{weights}"] for s in t["same_node"]]) for t in cost["targets"]]


def short(value):
    return "none" if value is None else f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def with_range(over):
    return f"{short(over['typical'])} ({short(over['low'])} to {short(over['high'])})"


def first_below(widths, over):
    """The narrowest network from which on the whole range is below 1."""
    below = [w for i, w in enumerate(widths) if all(o["high"] < 1 for o in over[i:])]
    return min(below, default="")


def equal_accuracy(path):
    """The wide network on arrays over the narrow one, digitally: independent constants."""
    rows = []
    for t in read(path)["targets"]:
        wide = t["estimates"][0]["energy_pj"]["per_inference"]
        narrow = t["same_node"][1]["sram"]["energy_pj"]["per_inference"]
        over = {"typical": wide["typical"] / narrow["typical"], "low": wide["low"] / narrow["high"],
                "high": wide["high"] / narrow["low"]}
        rows.append([t["technology"]["name"], *(with_range({k: v / 1e6 for k, v in e.items()})
                                                for e in (wide, narrow)), with_range(over)])
    return table("A wide network on arrays, and the pruned one of models/ (99.0 % of sequential "
                 "MNIST) on a digital accelerator at the same node",
                 ["arrays", "wide on arrays, uJ", "pruned, digital, uJ", "wide / pruned"], rows)


def own_lines(path):
    """Of each target, the line of its own converters."""
    return [line for line in read(path)["lines"] if line["converter"] == "target"]


def formats_in(directory):
    """Bits of weights, inputs and outputs, and the path of their break-even, most bits first."""
    found = [(tuple(map(int, p.name.split("-"))), p / "break-even.json")
             for p in directory.iterdir()]
    return [(" / ".join(map(str, bits)), path) for bits, path in sorted(found, reverse=True)]


BITS = "bits of weights / inputs / outputs"


def fan_in_table(directory, rival):
    rows = []
    for bits, path in formats_in(directory):
        rows.append([bits, *(with_range(whole(line["rows"])) for line in own_lines(path))])
    names = [line["target"] for line in own_lines(path)]
    return table(f"Rows of a column above which arrays take less energy than {rival} at the same "
                 "node: typical (low to high); none: with no number of rows", [BITS, *names], rows)


def whole(rows):
    return {k: None if v is None else math.ceil(v) for k, v in rows.items()}


def budget_table(directory):
    """What a column of a number of rows may take, so that it wins whatever the constants."""
    rows = []
    for bits, path in formats_in(directory / "fan-in"):
        for line in own_lines(path):
            wins = [other["converter"] for other in read(path)["lines"]
                    if other["target"] == line["target"] and other["rows"]["high"] is not None
                    and other["rows"]["high"] <= line["array_rows"]]
            rows.append([line["target"], bits, line["conversions"], with_range(line["column_pj"]),
                         with_range(line["budget_pj"]), ", ".join(wins)])
    at = read(path)["settings"]["fan_in"]["rows"]
    columns = ["arrays", BITS, "conversions of an output", "they take, pJ",
               f"with {at} rows they may take, pJ", "converters that win with the rows of the array"]
    return table("What converters would have to take: below the low end, arrays win whatever the "
                 "constants", columns, sorted(rows))
