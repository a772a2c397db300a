"""The fused block beside the layers of which it consists."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from crosstate import Error  # noqa: E402
from crosstate.torch import S4D, S4DBlock, S4DBlocks  # noqa: E402

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


def blocks_of(count: int = 3, **options: Any) -> S4DBlocks:
    return S4DBlocks(*(S4DBlock(5, 8, **options) for _ in range(count)))


def step(module: Any, u: Any) -> tuple[Any, dict[str, Any]]:
    """Output, and gradients by name, of a training step with its own random draws."""
    torch.manual_seed(4)
    inputs = u.clone().requires_grad_()
    module.zero_grad()
    y = module(inputs)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(5))
    (y * weights).sum().backward()
    return y.detach(), {"u": inputs.grad, **{n: p.grad for n, p in module.named_parameters()}}


@pytest.mark.parametrize("options", [
    {}, {"norm": "none", "transposed": False}, {"dropout": 0.3},
    {"format": "w8a8s8", "state__residue_bits": 4, "device_noise": 0.02, "transposed": False},
    {"format": "float", "state__bits": 8, "state__rounding": "stochastic"},
])
def test_blocks_as_one_function_are_those_one_by_one(options: dict[str, Any]) -> None:
    torch.manual_seed(5)
    blocks = blocks_of(**options)
    transposed = options.get("transposed", True)
    u = torch.randn(19, 5, 45) if transposed else torch.randn(19, 45, 5)
    blocks.calibrate(u)
    single = torch.nn.Sequential(*copy.deepcopy(list(blocks)))
    assert list(single.state_dict()) == list(blocks.state_dict())
    (y, gradients), (expected, wanted) = step(blocks, u), step(single, u)
    assert torch.equal(y, expected)
    for name, gradient in gradients.items():
        assert torch.equal(gradient, wanted[name]), name
    assert torch.equal(blocks.eval()(u), single.eval()(u))
    for copied in (copy.deepcopy(blocks), pickle.loads(pickle.dumps(blocks))):
        assert torch.equal(copied(u), single(u))
    assert torch.equal(blocks[1:](u), single[1:](u))


@pytest.mark.parametrize("transposed", [True, False])
def test_mean_over_time(transposed: bool) -> None:
    torch.manual_seed(6)
    blocks = blocks_of(transposed=transposed)
    u = torch.randn(19, 5, 45) if transposed else torch.randn(19, 45, 5)
    wanted = step(torch.nn.Sequential(blocks, Mean(-1 if transposed else 1)), u)
    blocks.mean = True
    (y, gradients) = step(blocks, u)
    torch.testing.assert_close(y, wanted[0])
    for name, gradient in gradients.items():
        expected = wanted[1]["u" if name == "u" else "0." + name]
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)
    # Data need no gradient.
    blocks(u).sum().backward()


class Mean(torch.nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    def forward(self, x: Any) -> Any:
        return x.mean(self.dimension)


def test_blocks_with_hooks_and_in_several_modes_run_one_by_one() -> None:
    torch.manual_seed(7)
    blocks = blocks_of(dropout=0.5)
    u = torch.randn(3, 5, 20)
    seen = []
    handle = blocks[1].register_forward_hook(lambda block, inputs, y: seen.append(y.shape))
    y = step(blocks, u)[0]
    handle.remove()
    assert seen == [u.shape] and torch.equal(step(blocks, u)[0], y)
    for block in (blocks[0], blocks[2]):
        block.eval()
    torch.manual_seed(4)
    y = blocks(u)
    torch.manual_seed(4)
    h = blocks[1](blocks[0](u))
    assert torch.equal(y, blocks[2](h)) and not torch.equal(h, blocks[1](blocks[0](u)))
    blocks.mean = True
    assert blocks(u).shape == (3, 5)


def test_gradients_in_evaluation() -> None:
    torch.manual_seed(9)
    u = torch.randn(3, 5, 20)
    options: dict[str, Any] = {"format": "w8a8s8", "state__residue_bits": 4}
    blocks = blocks_of(2, **options)
    noisy = blocks_of(2, dropout=0.5, device_noise=0.05, **options)
    for one in (blocks, noisy):
        one.calibrate(u)
    gradients = step(blocks, u)[1]
    for one in (blocks.eval(), noisy.eval()):
        expected, wanted = step(one, u)
        with torch.no_grad():
            assert torch.equal(one(u), expected)
        found = gradients if one is blocks else step(one, u)[1]
        for name, gradient in found.items():
            assert torch.equal(gradient, wanted[name]), name


def test_only_trained_ranges_are_parameters() -> None:
    def ranges(**options: Any) -> set[str]:
        names = (name for name, _ in S4DBlock(4, 8, **options).named_parameters())
        return {name for name in names if name.startswith(("range_", "scale_"))}

    assert ranges() == set()
    assert ranges(format="float", state__bits=8) == set()
    everything = {"range_residual", "range_ssm_output", "range_activation", "range_linear"}
    assert ranges(format="w8a8s8") == everything
    assert ranges(format="w8a8s8", activation__learned=False) == everything - {"range_activation"}
    assert "scale_linear" in ranges(format="w8a8s8", weight__learned=True)
    # What is no parameter is kept all the same.
    torch.manual_seed(6)
    u = torch.randn(4, 4, 30)
    options = {"format": "w8a8s8", "activation__learned": False}
    block, other = S4DBlock(4, 8, **options), S4DBlock(4, 8, **options)
    block.calibrate(u)
    other.load_state_dict(block.state_dict())
    assert torch.equal(block(u), other(u))


@pytest.mark.parametrize("options", [
    {}, {"format": "w8a8s8"}, {"format": "w4a4s4", "state__residue_bits": 4},
])
def test_draws_no_random_numbers_without_need(options: dict[str, Any]) -> None:
    block, u = S4DBlock(4, 8, **options), torch.randn(3, 4, 20)
    block.calibrate(u)
    before = torch.get_rng_state()
    assert torch.equal(block(u), block(u))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("options", [
    {"dropout": 0.5}, {"format": "w8a8s8", "state__rounding": "stochastic"},
    {"format": "w8a8s8", "weight_noise": 0.1}, {"format": "w8a8s8", "device_noise": 0.1},
    {"format": "w8a8s8", "array__noise": 2.0}, {"format": "w8a8s8", "array__state_noise": 4.0},
    {"format": "w8a8s8", "array__noise_floor": 0.5},
])
def test_draws_anew_in_every_step_of_training(options: dict[str, Any]) -> None:
    torch.manual_seed(7)
    block, u = S4DBlock(4, 8, **options), torch.randn(3, 4, 20)
    block.calibrate(u)
    assert not torch.equal(block(u), block(u))
    block.eval()
    assert torch.equal(block(u), block(u))


def test_frees_what_backward_needed() -> None:
    block, u = S4DBlock(4, 8), torch.randn(3, 4, 20)
    y = block(u).sum()
    y.backward(retain_graph=True)
    first = block.C.grad.clone()
    y.backward()
    torch.testing.assert_close(block.C.grad, 2 * first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


def test_gradients_under_checkpointing() -> None:
    torch.manual_seed(8)
    block, u = S4DBlock(4, 8, dropout=0.3), torch.randn(3, 4, 20)

    def gradient(run: Any) -> Any:
        torch.manual_seed(9)
        block.zero_grad()
        run().square().sum().backward()
        return block.C.grad.clone()

    expected = gradient(lambda: block(u))
    checkpoint = torch.utils.checkpoint.checkpoint
    assert torch.equal(gradient(lambda: checkpoint(block, u, use_reentrant=False)), expected)


def test_refuses_hooks_that_copy_what_backward_needs() -> None:
    block, u = S4DBlock(4, 8), torch.randn(3, 4, 20)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x.clone(), lambda x: x):
        y = block(u).sum()
    with pytest.raises(Error, match="copied by hooks"):
        y.backward()


@pytest.mark.parametrize("shape", [(0, 4, 20), (3, 4, 0)])
def test_gradients_of_nothing_are_zero(shape: tuple[int, int, int]) -> None:
    block, u = S4DBlock(4, 8), torch.randn(shape).requires_grad_()
    y = block(u)
    assert y.shape == shape
    y.sum().backward()
    assert u.grad.shape == shape
    assert all(not value.grad.any() for value in block.parameters())
    with pytest.raises(Error, match="has no values"):
        S4DBlock(4, 8, format="w8a8s8").calibrate(u)


def test_reads_parameters_where_they_are() -> None:
    torch.manual_seed(10)
    block, other, u = S4DBlock(4, 8), S4DBlock(4, 8), torch.randn(3, 4, 20)
    block(u)
    y = other(u).detach()
    values = {name: value.detach().clone() for name, value in other.named_parameters()}
    for change in ("in place", "data", "assign", "functional", "strided"):
        changed = copy.deepcopy(block)
        changed(u)
        if change == "in place":
            with torch.no_grad():
                for name, value in changed.named_parameters():
                    value.copy_(values[name])
        elif change == "data":
            for name, value in changed.named_parameters():
                value.data = values[name]
        elif change == "assign":
            state = {**changed.state_dict(), **values}
            changed.load_state_dict(state, assign=True)
        elif change == "strided":
            wide = torch.zeros(2 * values["linear_weight"].shape[0], 4)
            for name, value in changed.named_parameters():
                value.data = values[name]
            changed.linear_weight.data = wide[::2]
            changed(u)
            with torch.no_grad():
                changed.linear_weight.copy_(values["linear_weight"])
        if change == "functional":
            found = torch.func.functional_call(changed, values, (u,))
            assert not torch.equal(changed(u), y)
        else:
            found = changed(u)
        assert torch.equal(found, y), change


def train(module: Any, u: Any) -> list[float]:
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = (module(u) - 0.1 * torch.cumsum(u, -1)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def _rank(rank: int, place: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{place}/group", rank=rank, world_size=2
    )
    networks, u = networks_and_inputs()
    for name, network in networks.items():
        parallel = torch.nn.parallel.DistributedDataParallel(network)
        losses = train(parallel, u[4 * rank : 4 * rank + 4])
        torch.save({"losses": losses, "state": network.state_dict()}, f"{place}/{name}{rank}.pt")
    torch.distributed.destroy_process_group()


def networks_and_inputs() -> tuple[dict[str, Any], Any]:
    torch.manual_seed(8)
    u = torch.randn(8, 5, 30)
    options: dict[str, Any] = {"format": "w8a8s8", "state__residue_bits": 4}
    networks: dict[str, Any] = {"block": S4DBlock(5, 8, **options), "blocks": blocks_of(2, **options)}
    for network in networks.values():
        network.calibrate(u)
    return networks, u

def test_distributed_data_parallel(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_rank, (str(tmp_path),), nprocs=2)
    networks, u = networks_and_inputs()
    for name, network in networks.items():
        losses = train(network, u)
        ranks = [torch.load(tmp_path / f"{name}{rank}.pt", weights_only=True) for rank in range(2)]
        for k, loss in enumerate(losses):
            assert sum(rank["losses"][k] for rank in ranks) / 2 == pytest.approx(loss, rel=1e-4)
        assert losses[-1] < losses[0]
        for key, value in network.named_parameters():
            first, second = (rank["state"][key] for rank in ranks)
            assert torch.equal(first, second)
            torch.testing.assert_close(first, value.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [([], "without blocks"), ([torch.nn.Linear(2, 2)], "S4DBlocks of Linear"),
     ([S4DBlock(4, 4), S4DBlock(6, 4)], "d_model = 4 and 6"),
     ([S4DBlock(4, 4), S4DBlock(4, 4, transposed=False)], "transposed = True and False")],
)
def test_refuses_blocks(blocks: list[Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        S4DBlocks(*blocks)


def test_refuses_blocks_that_do_not_fit_when_they_run() -> None:
    blocks = S4DBlocks(S4DBlock(4, 4), S4DBlock(4, 4, format="w8a8s8"))
    with pytest.raises(Error, match="not calibrated"):
        blocks(torch.zeros(2, 4, 10))
    blocks[1] = S4DBlock(6, 4)
    with pytest.raises(Error, match="different d_model"):
        blocks(torch.zeros(2, 4, 10))
    blocks[1] = S4DBlock(4, 4, model={"block_length": 7})
    with pytest.raises(Error, match="block_length"):
        blocks(torch.zeros(2, 4, 10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"norm": "batch"}, "by itself"), ({"format": "w8"}, "preset"),
     ({"device_noise": 0.1}, "no effect without a format"),
     ({"model": {"activation": "tanh"}}, "activation"), ({"d_state": 3}, "even number")],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        S4DBlock(4, **arguments)


def test_refuses_other_types() -> None:
    u = torch.randn(2, 4, 10)
    assert S4DBlock(4, 4)(u.double()).dtype == torch.float32
    with pytest.raises(Error, match="bfloat16, expected torch.float32"):
        S4DBlock(4, 4).bfloat16()(u)
