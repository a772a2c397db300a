"""Line and bar charts as self-contained SVG text, from numbers alone."""

import html
import math

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 230, 40, 64
# Distinguishable with colour blindness (Okabe and Ito).
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


def text(x, y, words, anchor="middle", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{html.escape(str(words))}</text>'


def line(x1, y1, x2, y2, colour, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"/>')


class Axis:
    """Numbers to pixels, linear or logarithmic, with round ticks that span the values."""

    def __init__(self, values, start, end, log=False, zero=False):
        values = [v for v in values if v is not None and (v > 0 or not log)] or [1.0]
        self.log, self.start, self.end = log, start, end
        low, high = min(values), max(values)
        if log:
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
            last = max(last, first + 1)
            self.low, self.high = float(first), float(last)
            self.ticks = [10.0 ** e for e in range(first, last + 1)]
            return
        low = min(low, 0.0) if zero else low
        raw = (high - low or abs(high) or 1.0) / 5
        step = 10 ** math.floor(math.log10(raw))
        step *= next(m for m in (1, 2, 5, 10) if m * step >= raw * 0.999)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        last = max(last, first + 1)
        self.low, self.high = first * step, last * step
        self.ticks = [i * step for i in range(first, last + 1)]

    def __call__(self, value):
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def frame(title, x_label, y_label, y):
    """Title, labels, and a grid line per tick of the vertical axis."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [text(LEFT, 22, title, "start", 'font-weight="bold" font-size="15"'),
             text((LEFT + right) / 2, HEIGHT - 10, x_label),
             text(0, 0, y_label, extra=f'transform="translate(18 {(TOP + bottom) / 2}) rotate(-90)"')]
    for tick in y.ticks:
        parts += [line(LEFT, y(tick), right, y(tick), "#ddd"),
                  text(LEFT - 6, y(tick) + 4, f"{tick:g}", "end")]
    return parts + [line(LEFT, bottom, right, bottom, "#333")]


def legend(names):
    x = WIDTH - RIGHT + 16
    parts, at = [], TOP + 10
    for i, name in enumerate(names):
        colour = COLOURS[i % len(COLOURS)]
        parts.append(f'<rect x="{x}" y="{at - 9}" width="12" height="12" fill="{colour}"/>')
        for words in name.split(", "):  # a line each
            parts.append(text(x + 18, at + 1, words, "start"))
            at += 15
        at += 6
    return parts


def error_bar(x, low, high, y, colour):
    if low is None or high is None or high <= low:
        return []
    return [line(x, y(low), x, y(high), colour, 1.5)] + [
        line(x - 4, y(v), x + 4, y(v), colour, 1.5) for v in (low, high)]


def svg(parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" '
            f'fill="#fff"/>{"".join(parts)}</svg>')


def bounds(series):
    return [v for s in series for p in s["points"] for v in p[1:4]]


def line_chart(title, x_label, y_label, series, log_x=False, log_y=False, **_):
    """series: name and points (x, y, low, high); low and high, the error bar, may be None."""
    bottom = HEIGHT - BOTTOM
    x = Axis([p[0] for s in series for p in s["points"]], LEFT + 10, WIDTH - RIGHT - 10, log_x)
    y = Axis(bounds(series), bottom, TOP, log_y)
    parts = frame(title, x_label, y_label, y)
    for tick in x.ticks:
        parts += [line(x(tick), bottom, x(tick), bottom + 5, "#333"),
                  text(x(tick), bottom + 18, f"{tick:g}")]
    for i, s in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        points = [p for p in sorted(s["points"]) if p[1] is not None]
        path = " ".join(f"{x(p[0]):.1f},{y(p[1]):.1f}" for p in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for at, value, low, high in points:
            parts.append(f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>')
            parts += error_bar(x(at), low, high, y, colour)
    return svg(parts + legend([s["name"] for s in series]))


def bar_chart(title, x_label, y_label, series, log_y=False, **_):
    """As line_chart, but x is the name of a group; every series has a bar in each of its groups."""
    bottom = HEIGHT - BOTTOM
    y = Axis(bounds(series), bottom, TOP, log_y, zero=not log_y)
    groups = list(dict.fromkeys(p[0] for s in series for p in s["points"]))
    parts = frame(title, x_label, y_label, y)
    room = (WIDTH - RIGHT - LEFT) / len(groups)
    bar = 0.8 * room / len(series)
    for g, group in enumerate(groups):
        # Long names alternate between two rows.
        parts.append(text(LEFT + (g + 0.5) * room, bottom + 16 + 15 * (g % 2 if len(groups) > 4 else 0),
                          group))
    for i, s in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        for group, value, low, high in s["points"]:
            if value is None:
                continue
            left = LEFT + (groups.index(group) + 0.1) * room + i * bar
            parts.append(f'<rect x="{left:.1f}" y="{y(value):.1f}" width="{0.92 * bar:.1f}" '
                         f'height="{bottom - y(value):.1f}" fill="{colour}"/>')
            parts += error_bar(left + 0.46 * bar, low, high, y, "#333")
    return svg(parts + legend([s["name"] for s in series]))
