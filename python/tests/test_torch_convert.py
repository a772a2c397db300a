"""Networks between PyTorch and the library, and checkpoints of state-spaces/s4."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

import crosstate  # noqa: E402
from crosstate import Error  # noqa: E402
from crosstate._safetensors import format_  # noqa: E402
from crosstate.torch import S4DNetwork, from_torch, to_torch  # noqa: E402

pytestmark = pytest.mark.extras


def outputs(model: crosstate.Model, x: Any) -> np.ndarray:
    return model.outputs(x.numpy(), backend="float")


def same(model: crosstate.Model, module: Any, x: Any) -> None:
    with torch.no_grad():
        expected = module(x).numpy()
    found = outputs(model, x).reshape(expected.shape)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": "none"}, {"norm": "batch"}, {"pooling": "last"}, {"every_step": True},
     {"discretization": "bilinear"}, {"d_state": 2, "n_layers": 12}])
def test_has_the_same_predictions(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    shape = {"d_model": 6, "n_layers": 2, "d_state": 8, **options}
    network = S4DNetwork(3, 5, **shape)
    network(3 * torch.randn(20, 50, 3))
    network.eval()
    for norm in network.norms:
        for value in norm.parameters():
            value.data += 0.1 * torch.randn_like(value)
    x = torch.randn(20, 50, 3)
    kept = {k: options[k] for k in ("pooling", "every_step") if k in options}
    model = from_torch(network, **kept)
    same(model, network, x)
    back = to_torch(model)
    same(model, back.eval(), x)
    assert set(back.state_dict()) == set(network.state_dict())


def test_is_a_model_like_others(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = S4DNetwork(1, 2, d_model=4, n_layers=1, d_state=4, norm="batch", state_bits=8)
    x = torch.randn(40, 30, 1)
    network(x)
    y = np.arange(40) % 2
    model = from_torch(network, classes=["fast", "slow"])
    assert list(model.classes) == ["fast", "slow"]
    model.save(tmp_path / "network.safetensors")
    loaded = crosstate.load(tmp_path / "network.safetensors")
    assert np.array_equal(outputs(loaded, x), outputs(model, x))
    small = model.quantize(x.numpy(), np.array(["fast", "slow"])[y])
    assert small.quantized
    trained = to_torch(small, state_bits=8, residue_bits=3)
    assert trained(x).shape == (40, 2)
    with pytest.raises(Error, match="integer network"):
        to_torch(small.to_integers())


def full_checkpoint(h: int, modes: int, tied: bool) -> dict[str, Any]:
    """Tensors as the full kernel of state-spaces/s4 names them, for two blocks."""
    g = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=g)

    state = {"encoder.weight": normal(h, 2), "encoder.bias": normal(h)}
    for i in range(2):
        at = f"layers.{i}."
        state.update({
            f"{at}layer.D": normal(1, h),
            f"{at}layer.kernel.C": normal(1, h, modes, 2),
            f"{at}layer.kernel.B": normal(1, h, modes, 2),
            f"{at}layer.kernel.inv_dt": normal(h, 1 if tied else modes) * 0.3 - 3,
            f"{at}layer.kernel.A_real": normal(h, modes) * 0.1 - 0.7,
            f"{at}layer.kernel.A_imag": normal(h, modes).abs() * 4,
            f"{at}output_linear.0.weight": normal(2 * h, h) / h,
            f"{at}output_linear.0.bias": normal(2 * h),
        })
    state.update({"decoder.weight": normal(3, h), "decoder.bias": normal(3)})
    return state


def full_outputs(state: dict[str, Any], x: Any, bilinear: bool) -> Any:
    """The network of such a checkpoint as convolutions in double precision."""
    s = {name: value.double() for name, value in state.items()}
    h = x.double() @ s["encoder.weight"].T + s["encoder.bias"]
    length = x.shape[1]
    for i in range(2):
        k = f"layers.{i}.layer.kernel."
        a = torch.complex(-torch.exp(s[k + "A_real"]), -s[k + "A_imag"])
        dt = torch.exp(s[k + "inv_dt"])
        b, c = (torch.view_as_complex(s[k + name].contiguous())[0] for name in ("B", "C"))
        if bilinear:
            pole, gain = (1 + dt * a / 2) / (1 - dt * a / 2), dt / (1 - dt * a / 2)
        else:
            pole, gain = torch.exp(dt * a), (torch.exp(dt * a) - 1) / a
        powers = pole[..., None] ** torch.arange(length)
        kernel = 2 * torch.einsum("hn,hnl->hl", b * c * gain, powers).real
        u = h.transpose(1, 2)
        y = torch.fft.irfft(torch.fft.rfft(u, 2 * length) * torch.fft.rfft(kernel, 2 * length))
        y = y[..., :length] + s[f"layers.{i}.layer.D"][0, :, None] * u
        z = nn.functional.gelu(y.transpose(1, 2))
        at = f"layers.{i}.output_linear.0."
        h = h + nn.functional.glu(z @ s[at + "weight"].T + s[at + "bias"], -1)
    return h.mean(1) @ s["decoder.weight"].T + s["decoder.bias"]


@pytest.mark.parametrize("rule", ["zoh", "bilinear"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_reads_checkpoints_of_the_full_kernel(
    rule: str, tied: bool, suffix: str, tmp_path: Path
) -> None:
    state = full_checkpoint(5, 3, tied)
    path = tmp_path / f"checkpoint{suffix}"
    if suffix == ".pt":
        torch.save({"state_dict": state}, path)
    else:
        path.write_bytes(format_({k: v.numpy() for k, v in state.items()}, {}))
    model = from_torch(path, discretization=rule)
    x = torch.randn(17, 40, 2, generator=torch.Generator().manual_seed(3))
    expected = full_outputs(state, x, rule == "bilinear").numpy()
    assert np.abs(outputs(model, x) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_transforms_of_the_full_kernel() -> None:
    state = full_checkpoint(4, 2, True)
    x = torch.randn(3, 30, 2)
    expected = outputs(from_torch(state), x)
    other = dict(state)
    for i in range(2):
        k = f"layers.{i}.layer.kernel."
        dt = torch.exp(state[k + "inv_dt"].double())
        other[k + "inv_dt"] = torch.log(torch.expm1(dt))
        other[k + "A_real"] = torch.exp(state[k + "A_real"].double())
    found = outputs(from_torch(other, dt_transform="softplus", real_transform="none"), x)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def test_executes_nothing_in_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": full_checkpoint(2, 1, True), "more": Harmful()}, "bad.pt")
    with pytest.raises(Error, match="without executing code"):
        from_torch("bad.pt")
    Path("worse.pt").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(Error, match="without executing code"):
        from_torch("worse.pt")
    Path("cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(Error, match="not a safetensors file"):
        from_torch("cut.safetensors")
    assert not Path("executed").exists()


def without(state: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in names}


def test_refuses_other_networks() -> None:
    state = full_checkpoint(4, 2, True)
    k = "layers.0.layer.kernel."
    cases = [
        ({**state, k + "P": torch.zeros(1)}, "low-rank term"),
        (without(state, k + "A_imag"), f"'{k}A_imag' is missing"),
        (without(state, "layers.1.output_linear.0.bias"), "output_linear.0.bias' is missing"),
        (without(state, "decoder.weight", "decoder.bias"), "1 matrices besides the blocks"),
        ({**state, "norm.weight": torch.ones(4), "norm.bias": torch.ones(4)}, "1 norms"),
        ({**state, "extra.bias": torch.ones(4)}, "belong to no part of the network: extra.bias"),
        ({**state, k + "C": state[k + "C"] * math.nan}, "not finite"),
        ({**state, k + "C": torch.ones(2, 4, 2, 2)}, "has 2 channels"),
        ({"encoder.weight": torch.ones(2, 2)}, "no tensor ends in 'kernel.C'"),
        ({**state, "epoch": 3}, "'epoch' is int, expected a tensor"),
    ]
    for bad, message in cases:
        with pytest.raises(Error, match=message):
            from_torch(bad)
    with pytest.raises(Error, match="2 classes, but the network has 3 outputs"):
        from_torch(state, classes=["a", "b"])
    network = S4DNetwork(1, 2, d_model=4, n_layers=1, d_state=4)
    network.prenorm = True
    with pytest.raises(Error, match="prenorm"):
        from_torch(network)
    with pytest.raises(Error, match=r'model.gate = "hard-sigmoid", expected "sigmoid"'):
        x, y = np.random.default_rng(1).normal(size=(8, 10, 1)), np.arange(8) % 2
        model = crosstate.Model(channels=2, states=2, layers=1, gate="hard-sigmoid")
        to_torch(model.fit(x, y, epochs=1, progress=False))


def test_example_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).resolve().parents[2] / "docs/pytorch.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    random = np.random.default_rng(4)
    y = np.arange(64) % 10
    x = (random.normal(size=(64, 40, 1)) + 0.3 * y[:, None, None]).astype(np.float32)
    batches = [(torch.from_numpy(x[i : i + 16]), torch.from_numpy(y[i : i + 16]))
               for i in range(0, 64, 16)]
    names = {"batches": batches, "x_train": x, "y_train": y, "x_test": x[:20], "y_test": y[:20]}
    exec(compile(example, "docs/pytorch.md", "exec"), names)
    assert names["small"].quantized
    assert Path("network.safetensors").exists()
