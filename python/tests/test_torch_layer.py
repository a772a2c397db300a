"""S4D as a module: the minimal layer of state-spaces/s4 written out in double precision."""

from __future__ import annotations

import copy
import io
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from crosstate import Error  # noqa: E402
from crosstate.torch import S4D  # noqa: E402

pytestmark = pytest.mark.extras

FORMATS: list[dict[str, Any]] = [
    {},
    {"state_bits": 8},
    {"state_bits": 8, "residue_bits": 4},
    {"state_bits": 8, "rounding": "stochastic"},
    {"state_bits": 8, "residue_bits": 4, "weight_bits": 8, "activation_bits": 8},
]


def convolution(state: dict[str, Any], u: Any) -> Any:
    """The layer as a convolution: K_l = 2 Re sum C (exp(dt A) - 1) / A exp(l dt A)."""
    a = torch.complex(-torch.exp(state["kernel.log_A_real"]), state["kernel.A_imag"])
    dt = torch.exp(state["kernel.log_dt"])[:, None]
    c = torch.view_as_complex(state["kernel.C"]) * (torch.exp(dt * a) - 1) / a
    powers = torch.exp((dt * a)[..., None] * torch.arange(u.shape[-1]))
    kernel = 2 * torch.einsum("hn,hnl->hl", c, powers).real
    length = u.shape[-1]
    y = torch.fft.irfft(torch.fft.rfft(u, 2 * length) * torch.fft.rfft(kernel, 2 * length))
    y = torch.nn.functional.gelu(y[..., :length] + state["D"][:, None] * u)
    z = torch.einsum("oh,bhl->bol", state["output_linear.0.weight"][..., 0], y)
    return torch.nn.functional.glu(z + state["output_linear.0.bias"][:, None], dim=-2)


@pytest.mark.parametrize(("d_model", "d_state", "length"), [(1, 2, 7), (8, 16, 100), (33, 64, 300)])
def test_agrees_with_the_convolution(d_model: int, d_state: int, length: int) -> None:
    torch.manual_seed(d_model)
    layer = S4D(d_model, d_state)
    u = torch.randn(5, d_model, length)
    y, state = layer(u)
    assert state is None
    exact = {k: v.detach().double().requires_grad_() for k, v in layer.state_dict().items()}
    expected = convolution(exact, u.double())
    difference = (y - expected).detach().abs().max()
    assert float(difference) <= 1e-4 * float(expected.detach().abs().max())
    weights = torch.randn_like(y)
    (y * weights).sum().backward()
    (expected * weights.double()).sum().backward()
    for name, parameter in layer.named_parameters():
        gradient = exact[name].grad
        assert parameter.grad is not None
        difference = float((parameter.grad - gradient).abs().max())
        assert difference <= 1e-3 * float(gradient.abs().max()) + 1e-7, name


def test_names_shapes_and_first_values() -> None:
    torch.manual_seed(3)
    layer = S4D(6, 8)
    shapes = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    assert shapes == {
        "D": (6,), "kernel.C": (6, 4, 2), "kernel.log_dt": (6,), "kernel.log_A_real": (6, 4),
        "kernel.A_imag": (6, 4), "output_linear.0.weight": (12, 6, 1),
        "output_linear.0.bias": (12,),
    }
    # The draws are made in the order of the public layer.
    torch.manual_seed(3)
    assert torch.equal(layer.D, torch.randn(6))
    low, high = math.log(0.001), math.log(0.1)
    assert torch.equal(layer.kernel.log_dt, torch.rand(6) * (high - low) + low)


def test_learning_rates_of_the_kernel() -> None:
    layer = S4D(2, 4, lr=0.001)
    assert layer.kernel.log_dt._optim == {"weight_decay": 0.0, "lr": 0.001}
    assert not hasattr(layer.kernel.C, "_optim")
    fixed = S4D(2, 4, lr=0.0)
    assert [name for name, _ in fixed.kernel.named_parameters()] == ["C"]
    assert set(fixed.state_dict()) == set(layer.state_dict())


@pytest.mark.parametrize("d_model", [4, 40])
def test_transposed_only_changes_the_order(d_model: int) -> None:
    torch.manual_seed(1)
    layer = S4D(d_model, 8, transposed=False)
    other = S4D(d_model, 8)
    other.load_state_dict(layer.state_dict())
    u = torch.randn(3, 50, d_model)
    torch.testing.assert_close(layer(u)[0], other(u.transpose(1, 2))[0].transpose(1, 2))


@pytest.mark.parametrize("formats", FORMATS)
@pytest.mark.parametrize("transposed", [True, False])
def test_steps_agree_with_the_sequence(formats: dict[str, Any], transposed: bool) -> None:
    torch.manual_seed(2)
    layer = S4D(4, 8, transposed=transposed, **formats)
    u = torch.randn(3, 4, 40)
    if not transposed:
        u = u.transpose(1, 2).contiguous()
    layer.calibrate(u)
    layer.eval()
    whole, _ = layer(u)
    state, out = None, []
    for x in u.unbind(-1 if transposed else 1):
        y, state = layer.step(x, state)
        out.append(y)
    assert state is not None and state.steps == 40
    torch.testing.assert_close(torch.stack(out, -1 if transposed else 1), whole)


@pytest.mark.parametrize("formats", FORMATS)
def test_trains(formats: dict[str, Any]) -> None:
    torch.manual_seed(4)
    layer = S4D(4, 8, **formats)
    u = torch.randn(8, 4, 60)
    target = torch.cumsum(u, -1).tanh()
    optimizer = torch.optim.Adam(layer.parameters(), 0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (layer(u)[0] - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in layer.parameters())


def test_states_are_codes() -> None:
    torch.manual_seed(5)
    layer = S4D(4, 8, state_bits=6)
    u = torch.randn(3, 4, 40)
    layer.calibrate(u)
    _, state = layer(u, layer.default_state(3))
    assert torch.equal(state.values, state.values.round())
    assert 8 <= float(state.values.detach().abs().max()) <= 31
    assert torch.equal(torch.log2(layer.state_step), torch.log2(layer.state_step).round())


def test_more_bits_are_closer_to_the_float_layer() -> None:
    torch.manual_seed(6)
    plain = S4D(8, 16)
    u = torch.randn(4, 8, 200)
    exact = plain(u)[0]
    errors = []
    for formats in ({"state_bits": 6}, {"state_bits": 10}, {"state_bits": 6, "residue_bits": 6}):
        layer = S4D(8, 16, **formats)
        layer.load_state_dict(plain.state_dict(), strict=False)
        layer.calibrate(u)
        errors.append(float((layer(u)[0] - exact).detach().square().mean()))
    assert errors[1] < errors[0] / 10
    assert errors[2] < errors[0] / 3


def test_device_noise_belongs_to_training() -> None:
    torch.manual_seed(7)
    layer = S4D(4, 8, device_noise=0.05)
    u = torch.randn(2, 4, 30)
    assert not torch.equal(layer(u)[0], layer(u)[0])
    layer.eval()
    assert torch.equal(layer(u)[0], layer(u)[0])


def test_asks_for_calibration_in_evaluation() -> None:
    layer = S4D(4, 8, state_bits=8).eval()
    with pytest.raises(Error, match="not calibrated"):
        layer(torch.randn(2, 4, 10))


@pytest.mark.parametrize("formats", FORMATS)
def test_copies(formats: dict[str, Any]) -> None:
    torch.manual_seed(8)
    layer = S4D(4, 8, **formats)
    u = torch.randn(3, 4, 20)
    layer.calibrate(u)
    layer.eval()
    y = layer(u)[0]
    loaded = S4D(4, 8, **formats).eval()
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), loaded):
        assert torch.equal(other(u)[0], y)


def test_computes_in_float32_under_autocast() -> None:
    layer = S4D(4, 8)
    u = torch.randn(2, 4, 20)
    y = layer(u)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(u)[0]
    assert found.dtype == torch.float32
    assert torch.equal(found, y)


@pytest.mark.parametrize("formats", FORMATS[:3])
def test_compiles_as_one_graph(formats: dict[str, Any]) -> None:
    torch.manual_seed(9)
    layer = S4D(4, 8, **formats)
    u = torch.randn(3, 4, 40)
    layer.calibrate(u)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    layer(u)[0].square().sum().backward()
    expected = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    y = compiled(u)[0]
    torch.testing.assert_close(y, layer(u)[0])
    y.square().sum().backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name])


def _rank(rank: int, place: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{place}/group", rank=rank, world_size=2
    )
    torch.manual_seed(10)
    layer = S4D(4, 8, state_bits=8)
    u = torch.randn(4, 4, 30)
    layer.calibrate(u)
    parallel = torch.nn.parallel.DistributedDataParallel(layer)
    parallel(u[2 * rank : 2 * rank + 2])[0].square().mean().backward()
    torch.save({n: p.grad for n, p in layer.named_parameters()}, f"{place}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_distributed_data_parallel(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_rank, (str(tmp_path),), nprocs=2)
    gradients = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    torch.manual_seed(10)
    layer = S4D(4, 8, state_bits=8)
    u = torch.randn(4, 4, 30)
    layer.calibrate(u)
    layer(u)[0].square().mean().backward()
    for name, parameter in layer.named_parameters():
        assert torch.equal(gradients[0][name], gradients[1][name])
        torch.testing.assert_close(gradients[0][name], parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d_state": 7}, "d_state = 7, expected an even number"),
        ({"state_bits": 40}, "state_bits = 40"),
        ({"residue_bits": 4}, "residue_bits has no effect without state_bits"),
        ({"weight_bits": 1}, "weight_bits = 1"),
        ({"activation_bits": 1}, "activation_bits = 1"),
        ({"discretization": "euler"}, 'discretization = "euler"'),
        ({"dt_min": 0.2}, "dt_min = 0.2"),
        ({"device_noise": -1.0}, "device_noise = -1.0"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        S4D(4, **arguments)
    with pytest.raises(Error, match="u has 3 channels, expected d_model = 4"):
        S4D(4, 8)(torch.randn(2, 3, 10))
    with pytest.raises(Error, match="float64, expected torch.float32"):
        S4D(4, 8).double()(torch.randn(2, 4, 10))
