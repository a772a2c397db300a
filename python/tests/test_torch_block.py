"""The fused block beside the layers of which it consists."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from crosstate import Error  # noqa: E402
from crosstate.torch import S4D, S4DBlock  # noqa: E402

pytestmark = pytest.mark.extras


def layers_of(block: S4DBlock) -> tuple[S4D, Any]:
    """The same block made of single layers."""
    layer = S4D(block.h, 2 * block.w.shape[1])
    layer.load_state_dict({
        "D": block.D, "kernel.C": block.C, "kernel.log_dt": block.log_dt,
        "kernel.log_A_real": block.log_a, "kernel.A_imag": block.w,
        "output_linear.0.weight": block.linear_weight[..., None],
        "output_linear.0.bias": block.linear_bias,
    })
    norm = torch.nn.LayerNorm(block.h)
    norm.load_state_dict({"weight": block.norm_gamma, "bias": block.norm_beta})
    return layer, norm


@pytest.mark.parametrize("transposed", [True, False])
def test_agrees_with_single_layers(transposed: bool) -> None:
    torch.manual_seed(1)
    block = S4DBlock(6, 8, transposed=transposed)
    layer, norm = layers_of(block)
    u = torch.randn(19, 6, 45)
    ours, theirs = u.clone().requires_grad_(), u.clone().requires_grad_()
    y = block(ours if transposed else ours.transpose(1, 2))
    y = y if transposed else y.transpose(1, 2)
    expected = norm((theirs + layer(theirs)[0]).transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    weights = torch.randn_like(y)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    pairs = [
        (ours.grad, theirs.grad), (block.C.grad, layer.kernel.C.grad),
        (block.log_dt.grad, layer.kernel.log_dt.grad), (block.D.grad, layer.D.grad),
        (block.linear_weight.grad, layer.output_linear[0].weight.grad[..., 0]),
        (block.norm_gamma.grad, norm.weight.grad),
    ]
    for found, wanted in pairs:
        assert float((found - wanted).abs().max()) <= 1e-3 * float(wanted.abs().max())


def test_trains_in_a_format() -> None:
    torch.manual_seed(2)
    block = S4DBlock(4, 8, format="w8a8s8", state__residue_bits=4)
    u = torch.randn(8, 4, 60)
    with pytest.raises(Error, match="not calibrated"):
        block(u)
    block.calibrate(u)
    target = torch.cumsum(u, -1).tanh()
    optimizer = torch.optim.Adam(block.parameters(), 0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (block(u) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    block.eval()
    y = block(u)
    # The residual stream has 255 values of one scale.
    assert len(torch.unique(y.detach())) <= 256
    other = S4DBlock(4, 8, format="w8a8s8", state__residue_bits=4).eval()
    other.load_state_dict(block.state_dict())
    for copied in (other, copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert torch.equal(copied(u), y)


def test_computes_in_float32_under_autocast_and_outside_of_graphs() -> None:
    torch.manual_seed(3)
    block = S4DBlock(4, 8)
    encoder = torch.nn.Linear(2, 4)
    x = torch.randn(3, 20, 2)

    def run(x: Any) -> Any:
        return block(encoder(x).transpose(1, 2))

    y = run(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = run(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, y, rtol=0.05, atol=0.05)
    torch.testing.assert_close(torch.compile(run, backend="aot_eager")(x), y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"norm": "batch"}, "by itself"), ({"format": "w8"}, "preset"),
     ({"device_noise": 0.1}, "no effect without a format"),
     ({"model": {"activation": "tanh"}}, "activation"), ({"d_state": 3}, "even number")],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        S4DBlock(4, **arguments)
