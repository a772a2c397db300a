"""Networks as ONNX graphs (extra ``onnx``).

    from crosstate import onnx

    onnx.export(model, "step.onnx", form="step")            # the state is an input and an output
    onnx.export(model, "sequence.onnx", form="sequence")    # a whole sequence, by Scan

Graphs of integer networks hold the operations of docs/arithmetic.md on 64-bit integers and give the
scores of the library bit for bit in onnxruntime. Operator set 17.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx as _onnx
from onnx import TensorProto, helper, numpy_helper

from ._arguments import Path_, checked, path_text
from ._core import Error
from ._model import Model
from ._safetensors import Arrays, parse

#: Operator set of the graphs.
OPSET = 17
#: Fraction bits of a pole (docs/arithmetic.md).
_POLE_FRACTION = 14
_MOST_EARLY = 32

Array = npt.NDArray[Any]


class _Graph:
    """Nodes and constants of a graph; values are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._count = 0

    def name(self, what: str) -> str:
        self._count += 1
        return f"{what}_{self._count}"

    def constant(self, values: Any, kind: Any = np.int64) -> str:
        name = self.name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = self.name(kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def named(self, value: str, name: str) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def cast(self, value: str, kind: int) -> str:
        return self.add("Cast", value, to=kind)

    def gather(self, table: str, index: str, axis: int = 0) -> str:
        return self.add("Gather", table, index, axis=axis)

    def columns(self, value: str, first: int, end: int) -> str:
        return self.add("Slice", value, self.constant([first]), self.constant([end]),
                        self.constant([-1]))

    def floor_divide(self, value: str, divisor: str) -> str:
        """Division rounded downwards; Mod has the sign of its divisor."""
        return self.add("Div", self.add("Sub", value, self.add("Mod", value, divisor)), divisor)

    def shifted(self, value: str, places: Array) -> str:
        """v 2^-places, rounded to nearest with ties upwards, with places for every column."""
        if not np.any(places):
            return value
        divisor = np.int64(1) << places.astype(np.int64)
        return self.floor_divide(self.add("Add", value, self.constant(divisor // 2)),
                                 self.constant(divisor))

    def clip(self, value: str, low: float, high: float, kind: Any = np.int64) -> str:
        return self.add("Clip", value, self.constant(low, kind), self.constant(high, kind))


# --- integer networks


class _Integers:
    """The steps of an integer network (crosstate/integer/reference.cpp)."""

    def __init__(self, arrays: Arrays, facts: dict[str, Any], g: _Graph) -> None:
        self.arrays, self.facts, self.g = arrays, facts, g
        self.limits = "quant_min" if "quant_min" in facts["input"] else "low"
        self.complex = facts["complex"]
        self.shaped = facts["state"]["rounding"] in ("noise-shaped", "feedback")
        self.layers = len(facts["layers"])
        self.H = facts["channels"]

    def range(self, fmt: dict[str, Any]) -> tuple[int, int]:
        if self.limits == "quant_min":
            return fmt["quant_min"], fmt["quant_max"]
        return fmt["low"], fmt["high"]

    def shape(self, layer: int) -> tuple[Array, Array]:
        """Channels of the stream that a block takes, and the index in them of each mode."""
        at = f"layers.{layer}."
        channels = self.arrays.get(at + "channels", np.arange(self.H))
        whole = np.full(channels.size, self.facts["modes"])
        counts = self.arrays.get(at + "modes", whole)
        return channels.astype(np.int64), np.repeat(np.arange(channels.size), counts)

    def width(self, layer: int) -> int:
        """Columns of the state of a block: parts of all modes one after the other."""
        parts = (2 if self.complex else 1) * (2 if self.shaped else 1)
        return int(self.shape(layer)[1].size) * parts

    def requantized(self, at: str, p: str, q: str | None, fmt: dict[str, Any]) -> str:
        g, arrays = self.g, self.arrays
        early = arrays.get(at + ".early")
        total = p if early is None else g.shifted(p, early)
        total = g.add("Mul", total, g.constant(arrays[at + ".first"]))
        if q is not None:
            total = g.add("Add", total, g.add("Mul", q, g.constant(arrays[at + ".second"])))
        low, high = self.range(fmt)
        return g.clip(g.shifted(total, arrays[at + ".shift"]), low, high)

    def matrix(self, at: str, x: str) -> str:
        g = self.g
        weight = g.constant(self.arrays[at + ".weight"].astype(np.int64).T)
        return g.add("Add", g.add("MatMul", x, weight), g.constant(self.arrays[at + ".bias"]))

    def input(self, x: str) -> str:
        g, fmt = self.g, self.facts["input"]
        inverse = np.float32(1) / np.float32(fmt["scale"])
        steps = g.add("Mul", x, g.constant(inverse, np.float32))
        steps = g.add("Floor", g.add("Add", steps, g.constant(0.5, np.float32)))
        return g.cast(g.clip(steps, *self.range(fmt), np.float32), TensorProto.INT64)

    def round(self, total: str, residue_bits: Array) -> tuple[str, str | None]:
        """The state, and with noise shaping its residue."""
        g, limit = self.g, self.facts["state"]["limit"]
        if not self.shaped:
            places = np.full(residue_bits.shape, _POLE_FRACTION)
            return g.clip(g.shifted(total, places), -limit, limit), None
        register = g.shifted(total, _POLE_FRACTION - residue_bits)
        nearest = g.shifted(register, residue_bits)
        x = g.clip(nearest, -limit, limit)
        kept = g.add("Sub", register, g.add("Mul", nearest, g.constant(1 << residue_bits)))
        kept = g.add("Mul", kept, g.constant(1 << (_POLE_FRACTION - residue_bits)))
        return x, g.add("Where", g.add("Equal", x, nearest), kept, g.constant(0))

    def block(self, layer: int, h: str, state: str) -> tuple[str, str]:
        g, arrays, at = self.g, self.arrays, f"layers.{layer}."
        fmt = self.facts["layers"][layer]
        channels, owner = self.shape(layer)
        N, S = owner.size, channels.size

        def values(name: str) -> Array:
            return arrays[at + name].reshape(-1).astype(np.int64)

        def times(x: str, name: str) -> str:
            return g.add("Mul", x, g.constant(values(name)))

        residue_bits = np.zeros(N, np.int64)
        if self.shaped:
            residue_bits = (values("residue_bits") if at + "residue_bits" in arrays
                            else np.full(N, _POLE_FRACTION))
        u = g.gather(h, g.constant(channels[owner]), 1)
        re = g.columns(state, 0, N)
        total = g.add("Add", times(re, "A.real"),
                      g.add("Mul", u, g.constant(np.int64(1) << values("B.shift"))))
        parts = 2 if self.complex else 1
        sums = [total]
        if self.complex:
            im = g.columns(state, N, 2 * N)
            sums[0] = g.add("Sub", total, times(im, "A.imaginary"))
            sums.append(g.add("Add", times(re, "A.imaginary"), times(im, "A.real")))
        states, residues = [], []
        for p, value in enumerate(sums):
            if self.shaped:
                value = g.add("Add", value, g.columns(state, (parts + p) * N, (parts + p + 1) * N))
            x, residue = self.round(value, residue_bits)
            states.append(x)
            if residue is not None:
                residues.append(residue)
        out = None
        for p, (x, name) in enumerate(zip(states, ("C.real", "C.imaginary"))):
            weight = np.zeros((N, S), np.int64)
            weight[np.arange(N), owner] = values(name)
            part = g.add("MatMul", x, g.constant(weight))
            out = part if out is None else g.add("Sub", out, part)
        assert out is not None
        direct = times(g.gather(h, g.constant(channels), 1), "D")
        y = self.requantized(at + "output", out, direct, fmt["ssm_output"])
        a = self.table(at + "activation", y, fmt["ssm_output"])
        total = self.matrix(at + "linear", a)
        if self.facts["gated"]:
            z = self.requantized(at + "linear", total, None, fmt["linear"])
            gate = self.table(at + "gate", g.columns(z, self.H, 2 * self.H), fmt["linear"])
            total = g.add("Mul", g.columns(z, 0, self.H), gate)
        h = self.requantized(at + "sum", total, h, self.facts["residual"])
        return h, g.add("Concat", *states, *residues, axis=-1)

    def table(self, at: str, code: str, fmt: dict[str, Any]) -> str:
        index = self.g.add("Sub", code, self.g.constant(self.range(fmt)[0]))
        return self.g.gather(self.g.constant(self.arrays[at]), index)

    def step(self, x: str, states: list[str]) -> tuple[str, list[str]]:
        h = self.requantized("encoder", self.matrix("encoder", self.input(x)), None,
                             self.facts["residual"])
        after = []
        for layer, state in enumerate(states):
            h, state = self.block(layer, h, state)
            after.append(state)
        return h, after

    def scores(self, pooled: str, count: str) -> tuple[str, str]:
        """Scores, and logits as the library returns them."""
        g, arrays = self.g, self.arrays
        weight = g.constant(arrays["decoder.weight"].astype(np.int64).T)
        bias = g.add("Mul", count, g.constant(arrays["decoder.bias"]))
        total = g.add("Add", g.add("MatMul", pooled, weight), bias)
        # Sums over more than 2^score_steps steps are shifted by one place per doubling.
        first = int(self.facts.get("score_steps", 62))
        divisor = g.constant(np.int64(1) << max(-first, 0))
        for place in range(max(first, 0), min(first + _MOST_EARLY, 31)):
            above = g.cast(g.add("Greater", count, g.constant(1 << place)), TensorProto.INT64)
            divisor = g.add("Mul", divisor, g.add("Add", above, g.constant(1)))
        half = g.add("Div", divisor, g.constant(2))
        total = g.floor_divide(g.add("Add", total, half), divisor)
        scores = g.add("Mul", total, g.constant(arrays["decoder.first"]))
        unit = g.constant(2.0 ** -int(arrays["decoder.shift"][0]), np.float64)
        value = g.add("Mul", g.cast(scores, TensorProto.DOUBLE), unit)
        value = g.add("Mul", value, g.cast(divisor, TensorProto.DOUBLE))
        value = g.add("Div", value, g.cast(count, TensorProto.DOUBLE))
        return scores, g.cast(value, TensorProto.FLOAT)


# --- float networks


class _Floats:
    """The steps of a float network with folded batch norms."""

    complex = True

    def __init__(self, arrays: Arrays, options: dict[str, Any], g: _Graph) -> None:
        self.arrays, self.options, self.g = arrays, options, g
        self.layers = options["layers"]
        self.H = options["channels"]
        self.complex = options["modes"] == "complex"

    def shape(self, layer: int) -> tuple[Array, Array]:
        at = f"layers.{layer}."
        channels = self.arrays.get(at + "channels", np.arange(self.H))
        modes = self.options["states"] // (2 if self.complex else 1)
        counts = self.arrays.get(at + "modes", np.full(channels.size, modes))
        return channels.astype(np.int64), np.repeat(np.arange(channels.size), counts)

    def width(self, layer: int) -> int:
        return int(self.shape(layer)[1].size) * (2 if self.complex else 1)

    def number(self, value: float) -> str:
        return self.g.constant(value, np.float32)

    def matrix(self, at: str, x: str) -> str:
        g = self.g
        weight = g.constant(self.arrays[at + ".weight"].T, np.float32)
        return g.add("Add", g.add("MatMul", x, weight),
                     g.constant(self.arrays[at + ".bias"], np.float32))

    def activation(self, x: str) -> str:
        g, kind = self.g, self.options["activation"]
        if kind == "relu":
            return g.add("Relu", x)
        if kind == "gelu":
            erf = g.add("Erf", g.add("Mul", x, self.number(0.5**0.5)))
            half = g.add("Mul", x, self.number(0.5))
            return g.add("Mul", half, g.add("Add", erf, self.number(1.0)))
        if kind == "hard-gelu":
            third = g.add("Mul", g.add("Add", x, self.number(1.5)), self.number(1 / 3))
            return g.add("Mul", x, g.clip(third, 0, 1, np.float32))
        return x

    def gate(self, x: str) -> str:
        g = self.g
        if self.options["gate"] == "sigmoid":
            return g.add("Sigmoid", x)
        quarter = g.add("Mul", x, self.number(0.25))
        return g.clip(g.add("Add", quarter, self.number(0.5)), 0, 1, np.float32)

    def discrete(self, layer: int, owner: Array) -> tuple[Array, Array]:
        """Poles and output weights of the modes (crosstate/model/recurrence.h)."""
        at, arrays = f"layers.{layer}.", self.arrays

        def numbers(name: str) -> Array:
            values = arrays[at + name].astype(np.float64)
            if not self.complex:
                return values.reshape(-1)
            pairs = values.reshape(-1, 2)
            return pairs[:, 0] + 1j * pairs[:, 1]

        dt = np.exp(arrays[at + "log_dt"].astype(np.float64))[owner]
        A = -np.exp(arrays[at + "log_a"].astype(np.float64).reshape(-1)) + 0j
        if self.complex:
            A = A + 1j * arrays[at + "w"].astype(np.float64).reshape(-1)
        if self.options["discretization"] == "zoh":
            a = np.exp(dt * A)
            gain = (a - 1) / A
        else:
            a = (1 + dt * A / 2) / (1 - dt * A / 2)
            gain = dt / (1 - dt * A / 2)
        c = numbers("C") * gain * (2 if self.complex else 1)
        return a, c * numbers("B") if at + "B" in arrays else c

    def block(self, layer: int, h: str, state: str) -> tuple[str, str]:
        g, at = self.g, f"layers.{layer}."
        channels, owner = self.shape(layer)
        N, S = owner.size, channels.size
        a, c = self.discrete(layer, owner)

        def times(x: str, values: Array) -> str:
            return g.add("Mul", x, g.constant(values, np.float32))

        u = g.gather(h, g.constant(channels[owner]), 1)
        re = g.columns(state, 0, N)
        parts = [g.add("Add", times(re, a.real), u)]
        if self.complex:
            im = g.columns(state, N, 2 * N)
            parts[0] = g.add("Sub", parts[0], times(im, a.imag))
            parts.append(g.add("Add", times(re, a.imag), times(im, a.real)))
        y = times(g.gather(h, g.constant(channels), 1), self.arrays[at + "D"])
        for x, values, kind in zip(parts, (c.real, c.imag), ("Add", "Sub")):
            weight = np.zeros((N, S))
            weight[np.arange(N), owner] = values
            y = g.add(kind, y, g.add("MatMul", x, g.constant(weight, np.float32)))
        z = self.matrix(at + "linear", self.activation(y))
        if self.options["gate"] != "none":
            gate = self.gate(g.columns(z, self.H, 2 * self.H))
            z = g.add("Mul", g.columns(z, 0, self.H), gate)
        h = g.add("Add", h, z)
        if self.options["norm"] == "layer":
            scale = g.constant(self.arrays[at + "norm.gamma"], np.float32)
            bias = g.constant(self.arrays[at + "norm.beta"], np.float32)
            h = g.add("LayerNormalization", h, scale, bias, axis=-1, epsilon=1e-5)
        return h, parts[0] if not self.complex else g.add("Concat", *parts, axis=-1)

    def step(self, x: str, states: list[str]) -> tuple[str, list[str]]:
        h = self.matrix("encoder", x)
        after = []
        for layer, state in enumerate(states):
            h, state = self.block(layer, h, state)
            after.append(state)
        return h, after

    def scores(self, pooled: str, count: str) -> tuple[str, str]:
        mean = self.g.add("Div", pooled, self.g.cast(count, TensorProto.FLOAT))
        return "", self.matrix("decoder", mean)


# --- graphs


def _network(model: Model, backend: str | None, g: _Graph) -> tuple[Any, bool, bool, int]:
    """Steps of the network; whether the last step is read, every step; number of inputs."""
    if model.sample_rate is not None:
        raise Error("onnx: a model of recordings, expected one of sequences: the graph has no "
                    "front end")
    if backend not in (None, "", "integer", "float"):
        raise Error(f'backend = "{backend}", expected one of integer, float')
    if not backend:
        backend = "integer" if model.quantized else "float"
    core = model._fitted()
    if backend == "integer":
        if not model.quantized:
            raise Error("onnx: a float network, expected a quantized one for integers")
        core = core if model.integer else core.to_integers()
    elif model.integer:
        raise Error("onnx: an integer network has no float weights, expected backend = integer")
    else:
        core = core.folded()
    arrays, metadata = parse(core.to_bytes(), "the model")
    if "permutation" in arrays:
        raise Error("onnx: the model reads steps in permuted order, expected the original order")
    if backend == "integer":
        facts = json.loads(metadata["integer"])
        if facts["state"]["rounding"] == "stochastic":
            raise Error('onnx: quant.state.rounding = "stochastic", expected nearest or a residue: '
                        "its draws are addressed by step, for which ONNX has no operator")
        last = facts["pooling"] == "last"
        return _Integers(arrays, facts, g), last, facts.get("readout") == "step", facts["inputs"]
    options = json.loads(metadata["network"])
    shape, inputs = options["model"], options["task"]["inputs"]
    every = shape["readout"] == "step"
    return _Floats(arrays, shape, g), shape["pooling"] == "last", every, inputs


def _value(name: str, kind: int, *shape: Any) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


@checked
def to_graph(model: Model, *, form: str = "sequence", backend: str | None = None) -> Any:
    """The network of a model as ``onnx.ModelProto``; arguments as of :func:`export`."""
    if form not in ("step", "sequence"):
        raise Error(f'form = "{form}", expected one of step, sequence')
    g = _Graph()
    net, last, every, inputs = _network(model, backend, g)
    integers = isinstance(net, _Integers)
    kind = TensorProto.INT64 if integers else TensorProto.FLOAT
    element = np.int64 if integers else np.float32
    widths = [net.width(layer) for layer in range(net.layers)]
    states = [f"state_{layer}" for layer in range(net.layers)]
    outputs = net.arrays["decoder.weight"].shape[0]
    results = [("logits", TensorProto.FLOAT)]
    if integers:
        results.append(("scores", TensorProto.INT64))

    def read(pooled: str, count: str) -> None:
        scores, logits = net.scores(pooled, count)
        g.named(logits, "logits")
        if integers:
            g.named(scores, "scores")

    if form == "step":
        h, after = net.step("input", states)
        g.named(g.add("Add", "steps", g.constant([1])), "steps_after")
        pooled = h if last or every else g.add("Add", "pooled", h)
        g.named(pooled, "pooled_after")
        read(pooled, g.constant([1]) if last or every else "steps_after")
        for name, value in zip(states, after):
            g.named(value, name + "_after")
        ins = [_value("input", TensorProto.FLOAT, "batch", inputs)]
        ins += [_value(n, kind, "batch", w) for n, w in zip(states, widths)]
        ins += [_value("pooled", kind, "batch", net.H), _value("steps", TensorProto.INT64, 1)]
        outs = [_value(name, of, "batch", outputs) for name, of in results]
        outs += [_value(n + "_after", kind, "batch", w) for n, w in zip(states, widths)]
        outs += [_value("pooled_after", kind, "batch", net.H),
                 _value("steps_after", TensorProto.INT64, 1)]
        nodes = g.nodes
    else:
        # The body of Scan: one step, whose constants are those of the graph around it.
        before = [f"{name}_before" for name in states]
        h, after = net.step("x", before)
        pooled = h if last or every else g.add("Add", "pooled_before", h)
        carried = list(zip([*before, "pooled_before"], [*widths, net.H]))
        behind = []
        for name, value in zip([*states, "pooled"], [*after, pooled]):
            behind.append(f"{name}_behind")
            g.named(value, behind[-1])
        scanned = []
        if every:
            g.named(h, "h")
            scanned.append(_value("h", kind, "batch", net.H))
        body = helper.make_graph(
            g.nodes, "step",
            [_value(n, kind, "batch", w) for n, w in carried]
            + [_value("x", TensorProto.FLOAT, "batch", inputs)],
            [_value(n, kind, "batch", w) for n, (_, w) in zip(behind, carried)] + scanned,
        )
        g.nodes = []
        sizes = g.add("Shape", "input")
        batch = g.gather(sizes, g.constant([0]))
        time = g.add("Transpose", "input", perm=[1, 0, 2])
        zeros = [
            g.add("Expand", g.constant(0, element),
                  g.add("Concat", batch, g.constant([width]), axis=0))
            for _, width in carried
        ]
        ends = [f"{name}_end" for name in [*states, "pooled"]]
        g.nodes.append(helper.make_node(
            "Scan", [*zeros, time], [*ends, *(["all"] if every else [])], body=body,
            num_scan_inputs=1))
        if every:
            read(g.add("Transpose", "all", perm=[1, 0, 2]), g.constant([1]))
        else:
            steps = g.gather(sizes, g.constant([1]))
            read("pooled_end", g.constant([1]) if last else steps)
        ins = [_value("input", TensorProto.FLOAT, "batch", "length", inputs)]
        shape = ["batch", "length", outputs] if every else ["batch", outputs]
        outs = [_value(name, of, *shape) for name, of in results]
        nodes = g.nodes
    graph = helper.make_graph(nodes, "crosstate", ins, outs, g.constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                              producer_name="crosstate")
    proto.ir_version = 8
    helper.set_model_props(proto, {"classes": json.dumps([str(c) for c in model.classes])})
    _onnx.checker.check_model(proto)
    return proto


@checked
def export(
    model: Model, path: Path_, *, form: str = "sequence", backend: str | None = None
) -> None:
    """Write a model as an ONNX file.

    Parameters
    ----------
    model : Model
        Of sequences in their original order.
    path
        The file.
    form : {"sequence", "step"}
        "sequence": ``input`` [batch, length, inputs] to ``logits`` [batch, outputs], or [batch,
        length, outputs] of a model with ``readout = step``; all sequences have the same length.
        "step": one time step, ``input`` [batch, inputs]; every ``state_0``, ..., ``pooled`` and
        ``steps`` (all zeros at the start) has an output with ``_after`` behind its name, which is
        the input of the next step.
    backend : {"integer", "float"}, optional
        "integer": 64-bit integers, with ``scores`` as a further output; logits and scores are those
        of the library bit for bit. "float": without quantization. None: integers if quantized.

    Raises
    ------
    Error
        For models of recordings (the graph has no front end), with permuted steps, and with
        stochastic rounding of states; for a float network with backend "integer".
    """
    proto = to_graph(model, form=form, backend=backend)
    _onnx.save(proto, path_text(path))
