"""ONNX graphs in onnxruntime beside the executors of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

import crosstate  # noqa: E402
from crosstate import Error, onnx  # noqa: E402

pytestmark = pytest.mark.extras

COUNT, STEPS = 200, 50
MODELS = Path(__file__).resolve().parents[2] / "models"
FORMATS: list[dict[str, Any]] = [
    {"preset": "w8a8s8"},
    {"preset": "w1a8s8"},
    {"preset": "w2a8s6"},
    {"preset": "w4a4s4", "quant__gate__bits": 4},
    {"preset": "w8a12s12"},
    *({"preset": "w8a8s8", "quant__state__residue_bits": bits} for bits in (1, 2, 5, 8, 14)),
    {"preset": "w4a4s4", "quant__state__residue_bits": 14},
    {"preset": "w4a8s6", "quant__state__residue_bits": 10, "quant__state__residue": "by-pole"},
    *({"preset": "w8a8s8", "quant__a__coding": coding}
      for coding in ("polar", "cartesian", "increment")),
    {"preset": "w8a8s8", "quant__a__coding": "increment", "quant__a__bits": 4,
     "quant__state__residue_bits": 8},
    {"preset": "w8a8s8", "quant__scales": "free"},
    {"preset": "w8a8s8", "quant__weight_scales": "pow2"},
    {"preset": "w8a8s8", "quant__granularity": "tensor"},
    {"preset": "w8a8s8", "quant__weight__bits": 3, "quant__c__bits": 5, "quant__linear__bits": 6,
     "quant__input__codes": "affine", "quant__state__residue_bits": 3},
]


def data(seed: int = 0, inputs: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.arange(COUNT) % 3
    x = np.cumsum(random.normal(size=(COUNT, STEPS, inputs)), 1) * (0.2 + 0.3 * y[:, None, None])
    return x.astype(np.float32), y


def trained(**options: Any) -> crosstate.Model:
    x, y = data()
    shape = {"channels": 6, "states": 4, "layers": 2, **options}
    return crosstate.Model(**shape).fit(x, y, epochs=1, batch=32, progress=False)


def session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def by_steps(run: Any, x: np.ndarray) -> list[np.ndarray]:
    """Logits after every step."""
    kinds = {"tensor(int64)": np.int64, "tensor(float)": np.float32}
    state = {}
    for one in run.get_inputs():
        if one.name != "input":
            shape = [len(x) if size == "batch" else size for size in one.shape]
            state[one.name] = np.zeros(shape, kinds[one.type])
    names = [one.name for one in run.get_outputs()]
    logits = []
    for t in range(x.shape[1]):
        found = dict(zip(names, run.run(names, {"input": x[:, t], **state})))
        state = {name: found[name + "_after"] for name in state}
        logits.append(found["logits"])
    return logits


@pytest.fixture(scope="module")
def network() -> crosstate.Model:
    return trained()


@pytest.mark.parametrize("formats", FORMATS)
def test_integers_agree_bit_for_bit(
    formats: dict[str, Any], network: crosstate.Model, tmp_path: Path
) -> None:
    x, y = data()
    check(network.quantize(x, y, **formats), x, tmp_path)


def check(small: crosstate.Model, x: np.ndarray, tmp_path: Path) -> None:
    expected = small.outputs(x, backend="integer")
    onnx.export(small, tmp_path / "sequence.onnx")
    onnx.export(small, tmp_path / "step.onnx", form="step")
    logits, scores = session(tmp_path / "sequence.onnx").run(["logits", "scores"], {"input": x})
    assert np.array_equal(logits.reshape(expected.shape), expected)
    assert scores.dtype == np.int64
    assert np.array_equal(scores.argmax(-1).reshape(-1), expected.argmax(-1))
    steps = by_steps(session(tmp_path / "step.onnx"), x)
    last = steps[-1] if logits.ndim == 2 else np.stack(steps, 1)
    assert np.array_equal(last.reshape(expected.shape), expected)


@pytest.mark.parametrize(
    "options",
    [{"modes": "real", "init": "real"}, {"gate": "none", "activation": "relu"},
     {"pooling": "last", "gate": "hard-sigmoid", "activation": "hard-gelu"},
     {"discretization": "bilinear", "train_b": True, "activation": "identity"}])
def test_other_networks(options: dict[str, Any], tmp_path: Path) -> None:
    x, y = data()
    model = trained(**options)
    floats(model, x, tmp_path)
    check(model.quantize(x, y, preset="w8a8s8"), x, tmp_path)
    shaped = model.quantize(x, y, preset="w8a8s8", quant__a__coding="increment",
                            quant__state__residue_bits=6)
    check(shaped, x, tmp_path)


def test_a_result_for_every_step(tmp_path: Path) -> None:
    x, y = data()
    every = np.repeat(y[:, None], STEPS, 1)
    model = crosstate.Model(channels=4, states=4, layers=1, readout="step")
    model.fit(x, every, epochs=1, progress=False)
    floats(model, x, tmp_path)
    check(model.quantize(x, every, preset="w8a8s8"), x, tmp_path)


@pytest.mark.parametrize("readout", ["sequence", "step"])
def test_numbers_instead_of_classes(readout: str, tmp_path: Path) -> None:
    x, _ = data()
    y = np.stack([x.mean((1, 2)), x.std((1, 2))], 1)
    if readout == "step":
        y = np.cumsum(x, 1) / STEPS
    model = crosstate.Model(channels=4, states=4, layers=1, readout=readout)
    model.fit(x, y, epochs=1, progress=False)
    assert model.task == "regression"
    floats(model, x, tmp_path)
    for preset in ("w8a8s8", "w2a8s8"):
        check(model.quantize(x, y, preset=preset, quant__state__residue_bits=4), x, tmp_path)


def floats(model: crosstate.Model, x: np.ndarray, tmp_path: Path) -> None:
    expected = model.outputs(x, backend="float")
    onnx.export(model, tmp_path / "sequence.onnx", backend="float")
    onnx.export(model, tmp_path / "step.onnx", form="step", backend="float")
    (logits,) = session(tmp_path / "sequence.onnx").run(["logits"], {"input": x})
    steps = by_steps(session(tmp_path / "step.onnx"), x)
    stepped = steps[-1] if logits.ndim == 2 else np.stack(steps, 1)
    for found in (logits, stepped):
        difference = np.abs(found.reshape(expected.shape) - expected).max()
        assert difference <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_floats(norm: str, tmp_path: Path) -> None:
    floats(trained(norm=norm), data()[0], tmp_path)


def test_floats_with_layer_norm(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from crosstate.torch import S4DNetwork, from_torch

    torch.manual_seed(1)
    network = S4DNetwork(2, 3, d_model=6, n_layers=2, d_state=4)
    floats(from_torch(network), data()[0], tmp_path)


def test_pruned_networks(tmp_path: Path) -> None:
    model = crosstate.load(MODELS / "smnist-pruned-w4.safetensors")
    x = np.random.default_rng(3).uniform(0, 1, (20, 784, 1)).astype(np.float32)
    check(model, x, tmp_path)


def test_refuses(network: crosstate.Model, tmp_path: Path) -> None:
    x, y = data()
    stochastic = network.quantize(x, y, preset="w8a8s8", quant__state__rounding="stochastic")
    small = network.quantize(x, y, preset="w8a8s8")
    cases: list[tuple[crosstate.Model, dict[str, Any], str]] = [
        (stochastic, {}, "stochastic"),
        (network, {"backend": "integer"}, "expected a quantized one"),
        (small.to_integers(), {"backend": "float"}, "has no float weights"),
        (network, {"backend": "fake"}, 'backend = "fake"'),
        (network, {"form": "loop"}, 'form = "loop"'),
        (network.quantize(x, y, preset="w8a8s8", quant__linear__bits=0), {}, "linear"),
    ]
    for model, arguments, message in cases:
        with pytest.raises(Error, match=message):
            onnx.export(model, tmp_path / "network.onnx", **arguments)
    assert not (tmp_path / "network.onnx").exists()
