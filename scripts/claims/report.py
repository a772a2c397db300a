#!/usr/bin/env python3
"""Writes the results of a claim's commands as table.md, plot.html and claim.json.

Usage: report.py CLAIM FORM SEED DIRECTORY NETWORKS
"""

import html
import json
import pathlib
import sys

import chart
import results


def formatted(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def markdown(table):
    lines = [table["columns"], ["---"] * len(table["columns"])]
    lines += [[formatted(v) for v in row] for row in table["rows"]]
    return f"{table['title']}\n\n" + "".join("| " + " | ".join(l) + " |\n" for l in lines)


def html_table(table):
    def row(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(formatted(c))}</{tag}>" for c in cells) + "</tr>"
    return (f"<h2>{html.escape(table['title'])}</h2><table>{row(table['columns'], 'th')}"
            + "".join(row(r, "td") for r in table["rows"]) + "</table>")


def page(title, note, claim):
    style = ("body{font-family:sans-serif;max-width:760px;margin:2em auto;padding:0 1em}"
             "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;"
             "text-align:right}td:first-child{text-align:left}svg{width:100%}")
    draw = {"line": chart.line_chart, "bar": chart.bar_chart}
    plots = "".join(draw[c["kind"]](**{k: v for k, v in c.items() if k != "kind"})
                    for c in claim["charts"])
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{style}</style>'
            f"<h1>{title}</h1><p>{html.escape(note)}</p>{plots}"
            f'{"".join(map(html_table, claim["tables"]))}</html>\n')


def write(path, content):
    """Writes a temporary file and renames it, so that a result is complete or absent."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(content)
    beside.replace(path)


def main():
    name, form, seed, directory, networks = sys.argv[1:]
    directory, networks = pathlib.Path(directory), pathlib.Path(networks)
    claim = getattr(results, name)(directory, networks)
    claim |= {"claim": name, "form": form, "seed": int(seed)}
    claim["machine"] = results.machine(networks, directory)
    root = f"{pathlib.Path(__file__).resolve().parents[2]}/"
    claim["commands"] = sorted({p.read_text().strip().replace(root, "") for top in (networks, directory)
                                for p in top.rglob("command.txt")})
    note = f"{form.capitalize()} form, seed {seed}."
    if form == "quick":
        note += " Built-in sample and short trainings: not the figures to quote."
    title = f"Claim: {name}"
    tables = "\n".join(map(markdown, claim["tables"]))
    write(directory / "table.md", f"# {title}\n\n{note}\n\n{tables}")
    write(directory / "plot.html", page(title, note, claim))
    write(directory / "claim.json", json.dumps(claim, indent=1) + "\n")
    print(f"{tables}\n{directory}/: table.md, plot.html, claim.json")


if __name__ == "__main__":
    try:
        main()
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"reproduce: {type(error).__name__}: {error}")
