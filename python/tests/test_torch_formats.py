"""Formats between quantized networks and modules, so that either side may train them further."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

import crosstate  # noqa: E402
from conftest import sines  # noqa: E402
from crosstate import Error  # noqa: E402
from crosstate.torch import (  # noqa: E402
    S4D, S4DBlock, S4DBlocks, S4DNetwork, from_torch, to_torch,
)

pytestmark = pytest.mark.extras

SHAPE: dict[str, Any] = {"channels": 6, "states": 8, "layers": 2, "dt_min": 0.01, "dt_max": 0.5}
FORMATS: list[dict[str, Any]] = [
    {"preset": "w8a8s8"},
    {"preset": "w8a8s8", "quant__state__residue_bits": 5},
    {"preset": "w4a8s8", "quant__state__residue_bits": 8, "quant__state__residue": "by-pole"},
    {"preset": "w2a8s6", "quant__a__bits": 8},
    {"preset": "w8a8s8", "quant__a__coding": "increment"},
    {"preset": "w8a8s8", "quant__a__coding": "cartesian"},
    {"preset": "float", "quant__state__bits": 8},
    {"preset": "w8a8s8", "quant__weight__bits": 4, "quant__linear__bits": 0,
     "quant__input__bits": 0, "quant__gate__bits": 6},
]


@pytest.fixture(scope="module")
def xy() -> tuple[np.ndarray, np.ndarray]:
    return sines(200, 3)


@pytest.fixture(scope="module", params=["batch", "none"])
def network(request: Any, xy: Any) -> crosstate.Model:
    model = crosstate.Model(**SHAPE, norm=request.param)
    return model.fit(*xy, epochs=4, batch=16, learning_rate=0.02)


def of_module(module: Any, x: np.ndarray) -> np.ndarray:
    module.eval()
    with torch.no_grad():
        outputs: np.ndarray = module(torch.from_numpy(x)).numpy()
    return outputs


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal up to values on the edge between two codes."""
    difference = np.abs(found - expected) / np.abs(expected).max()
    assert difference.max() <= 0.02
    assert difference.mean() <= 5e-4


@pytest.mark.parametrize("formats", FORMATS)
def test_travel_both_ways(formats: dict[str, Any], network: crosstate.Model, xy: Any) -> None:
    small = network.quantize(*xy, **formats)
    module = to_torch(small)
    expected = small.outputs(xy[0], backend="fake")
    close(of_module(module, xy[0]), expected)
    back = from_torch(module, formats=True)
    assert back.quantized
    assert np.array_equal(back.outputs(xy[0], backend="fake"), expected)
    wanted, found = small.describe()["quant"], back.describe()["quant"]
    for site in ("encoder", "a", "c", "d", "weight", "decoder", "input", "residual", "linear"):
        assert found[site]["bits"] == wanted[site]["bits"]
    state = small.describe()["quant"]["state"]
    if state["residue_bits"] == 0:
        state.pop("residue_margin"), found["state"].pop("residue_margin")
    assert found["state"] == state


def train(module: Any, x: np.ndarray, y: np.ndarray, steps: int) -> None:
    module.train()
    optimizer = torch.optim.Adam(module.parameters(), 0.005)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()


def test_training_continues_on_the_other_side(network: crosstate.Model, xy: Any) -> None:
    small = network.quantize(*xy, preset="w4a8s8", quant__state__residue_bits=4)
    module = to_torch(small)
    train(module, *xy, steps=5)
    assert all(p.grad is not None for p in module.parameters())
    deployed = from_torch(module, formats=True)
    close(of_module(module, xy[0]), deployed.outputs(xy[0], backend="fake"))
    assert deployed.to_integers().integer
    trained = deployed.qat(*xy, epochs=2, batch=16)
    assert trained.quantized
    quant = trained.describe()["quant"]
    assert quant["weight"]["bits"] == 4 and quant["state"]["residue_bits"] == 4
    other = deployed.qat(*xy, epochs=1, batch=16, preset="w8a8s8").describe()["quant"]
    assert other["weight"]["bits"] == 8 and other["state"]["residue_bits"] == 0
    with pytest.raises(Error, match="no weights to train"):
        deployed.to_integers().qat(*xy)
    close(of_module(to_torch(trained), xy[0]), trained.outputs(xy[0], backend="fake"))


@pytest.mark.parametrize("norm", ["batch", "none", "layer"])
def test_training_begins_in_pytorch(norm: str, xy: Any) -> None:
    torch.manual_seed(1)
    module = S4DNetwork(1, 2, d_model=6, n_layers=2, d_state=8, norm=norm, state_bits=8,
                        residue_bits=4, weight_bits=8, activation_bits=8, device_noise=0.01)
    with pytest.raises(Error, match="is not calibrated"):
        from_torch(module, formats=True)
    with pytest.raises(Error, match="are not calibrated"):
        of_module(module, xy[0])
    module.calibrate(torch.from_numpy(xy[0]))
    train(module, *xy, steps=10)
    model = from_torch(module, formats=True)
    close(of_module(module, xy[0]), model.outputs(xy[0], backend="fake"))
    assert model.describe()["quant"]["weight_noise"] == 0.01
    if norm != "layer":
        assert model.to_integers().integer
        assert to_torch(model).s4_layers[1].device_noise == 0.01


def test_other_formats_replace_those_of_the_model(network: crosstate.Model, xy: Any) -> None:
    small = network.quantize(*xy, preset="w8a8s8")
    module = to_torch(small, state_bits=6)
    assert module.s4_layers[0].state_bits == 6
    assert set(module.bits.values()) == {None}


def test_layer_norms_say_what_to_do(xy: Any) -> None:
    model = from_torch(S4DNetwork(1, 2, d_model=4, n_layers=1, d_state=4))
    for attempt in (lambda: model.quantize(*xy, preset="w8a8s8"), lambda: model.qat(*xy, epochs=1)):
        with pytest.raises(Error, match='batch"? or "?none'):
            attempt()


class Fused(nn.Module):
    def __init__(self, **block: Any) -> None:
        super().__init__()
        self.inp = nn.Linear(1, 6)
        blocks = (S4DBlock(6, 8, transposed=False, **block) for _ in range(2))
        self.blocks = S4DBlocks(*blocks, mean=True)
        self.out = nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        return self.out(self.blocks(self.inp(x)))


@pytest.mark.parametrize(
    "block", [{"norm": "none"}, {}, {"norm": "none", "model": {"activation": "hard-gelu"}}])
def test_networks_of_blocks(block: dict[str, Any], xy: Any) -> None:
    torch.manual_seed(2)
    module = Fused(**block)
    model = from_torch(module)
    expected = of_module(module, xy[0])
    found = model.outputs(xy[0], backend="float")
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    if block.get("norm") == "none":
        assert model.quantize(*xy, preset="w8a8s8").to_integers().integer
    with pytest.raises(Error, match="expected a network of S4D"):
        from_torch(module, formats=True)
    rounded = Fused(**block, format="w8a8s8", state__residue_bits=4)
    assert from_torch(rounded).outputs(xy[0]).shape == expected.shape


def test_refuses(network: crosstate.Model, xy: Any) -> None:
    for settings, message in [
        ({"quant__scales": "free"}, r'quant.input.scales = "free", expected "pow2"'),
        ({"quant__weight__learned": True}, "quant.weight.learned = true, expected false"),
        ({"quant__weight__granularity": "tensor"}, "quant.weight.granularity"),
    ]:
        if "granularity" in message and network.describe()["model"]["norm"] == "batch":
            continue
        with pytest.raises(Error, match=message):
            to_torch(network.quantize(*xy, preset="w8a8s8", **settings))
    with pytest.raises(Error, match="no network yet, expected inputs and outputs"):
        to_torch(crosstate.Model())
    with pytest.raises(Error, match="inputs and outputs are those"):
        to_torch(network, inputs=1)
    with pytest.raises(Error, match="does not hold them, expected a module"):
        from_torch(S4DNetwork(1, 2, d_model=4, n_layers=1, d_state=4).state_dict(), formats=True)
    mixed = S4DNetwork(1, 2, d_model=4, n_layers=2, d_state=4, norm="none")
    mixed.s4_layers[1] = S4D(4, 4, state_bits=8)
    with pytest.raises(Error, match="layers of different formats"):
        from_torch(mixed, formats=True)
    with pytest.raises(Error, match='weight_bits: no site "x", expected encoder, decoder, c'):
        S4DNetwork(1, 2, weight_bits={"x": 8})
    with pytest.raises(Error, match='pole_coding = "x"'):
        S4D(4, 4, pole_coding="x")
    with pytest.raises(Error, match='residue = "x"'):
        S4D(4, 4, residue="x")
