"""Training in PyTorch beside training by the library: the same loss at every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import crosstate  # noqa: E402
from crosstate import Error  # noqa: E402
from crosstate.torch import (  # noqa: E402
    S4D, S4DBlock, S4DNetwork, batches, parameter_groups, schedule, to_torch, training_order,
)

pytestmark = pytest.mark.extras

SHAPE: dict[str, Any] = {"channels": 8, "states": 8, "layers": 2}
EPOCHS, BATCH = 2, 32


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Some of the built-in images of digits, as sequences of 784 steps."""
    sets = crosstate.Data.read(train_limit=160).arrays()
    return sets.train.x[:150], sets.train.labels[:150]


class Losses:
    """A callback that keeps the loss of every batch."""

    def __init__(self) -> None:
        self.all: list[float] = []

    def __call__(self, p: crosstate.TrainProgress) -> None:
        if not p.epoch_end:
            self.all.append(p.batch_loss)


def losses_in_torch(module: Any, x: Any, y: Any, **rates: float) -> list[float]:
    steps = EPOCHS * -(-len(x) // BATCH)
    optimizer = torch.optim.AdamW(parameter_groups(module, **rates))
    rate = schedule(optimizer, steps, warmup=steps // EPOCHS)
    module.train()
    losses = []
    for epoch in range(EPOCHS):
        for inputs, targets in batches(x, y, BATCH, seed=3, epoch=epoch):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(module(inputs), targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            rate.step()
            losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
def test_has_the_losses_of_fit(norm: str, digits: Any) -> None:
    x, y = digits
    model = crosstate.Model(**SHAPE, norm=norm)
    module = to_torch(model, inputs=1, outputs=10, seed=3)
    found = losses_in_torch(module, x, y)
    losses = Losses()
    model.fit(x, y, epochs=EPOCHS, batch=BATCH, seed=3, train__validation=0, log_every=1,
              callback=losses)
    assert len(found) == len(losses.all) == 10
    assert np.abs(np.array(found) - losses.all).max() <= 1e-4
    if norm == "batch":
        return  # biases before a batch norm have no gradient and drift with rounding errors
    # The networks after training are the same function, too.
    module.eval()
    with torch.no_grad():
        outputs = module(torch.from_numpy(x)).numpy()
    expected = model.outputs(x)
    assert np.abs(outputs - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("residue_bits", [0, 4])
def test_has_the_losses_of_qat_with_a_rounded_state(residue_bits: int, digits: Any) -> None:
    x, y = digits
    model = crosstate.Model(**SHAPE, norm="none")
    model.fit(x, y, epochs=1, batch=BATCH, train__validation=0)
    formats = {"preset": "float", "quant__state__bits": 8,
               "quant__state__residue_bits": residue_bits}
    module = to_torch(model.quantize(x, y, seed=3, train__validation=0, **formats))
    assert module.s4_layers[0].state_bits == 8
    found = losses_in_torch(module, x, y)
    losses = Losses()
    model.qat(x, y, epochs=EPOCHS, batch=BATCH, seed=3, train__validation=0, learning_rate=0.01,
              recurrence_rate=0.001, range_rate=0.001, warmup=1, log_every=1, callback=losses,
              **formats)
    assert len(found) == len(losses.all) == 10
    assert np.abs(np.array(found) - losses.all).max() <= 1e-4


def test_order_is_that_of_the_library() -> None:
    order = training_order(100, 16, seed=5, epoch=2)
    assert sorted(order.tolist()) == list(range(100))
    assert not torch.equal(order, training_order(100, 16, seed=5, epoch=3))
    lengths = [10 + i % 50 for i in range(100)]
    padded = training_order(100, 16, seed=5, lengths=lengths)
    of_batches = [[lengths[i] for i in part] for part in padded.split(16)[:6]]
    assert max(max(part) - min(part) for part in of_batches) < 20
    x, y = np.zeros((10, 3, 1), np.float32), np.arange(10)
    seen = torch.cat([targets for _, targets in batches(x, y, 4)])
    assert torch.equal(seen, training_order(10, 4))
    with pytest.raises(Error, match="batch = 0"):
        training_order(10, 0)
    with pytest.raises(Error, match="2 lengths for 10 sequences"):
        training_order(10, lengths=[1, 2])
    with pytest.raises(Error, match="10 sequences and 3 targets"):
        next(batches(x, y[:3]))


def test_groups_of_parameters() -> None:
    network = S4DNetwork(1, 3, d_model=4, n_layers=1, d_state=4, activation_bits=8)
    network.fused = S4DBlock(4, 4, format="w8a8s8")
    groups = parameter_groups(network, learning_rate=0.02, range_rate=0.002, weight_decay=0.1)
    names = {id(p): name for name, p in network.named_parameters()}
    of = {(g["lr"], g["weight_decay"]): {names[id(p)] for p in g["params"]} for g in groups}
    layer = "s4_layers.0."
    assert of[0.02, 0.1] == {
        "encoder.weight", "decoder.weight", layer + "D", layer + "kernel.C",
        layer + "output_linear.0.weight", "fused.C", "fused.D", "fused.linear_weight",
    }
    assert {layer + "kernel.log_dt", layer + "kernel.A_imag", "fused.log_a"} <= of[0.001, 0.0]
    assert "quantizers.input.log_scale" in of[0.002, 0.0]
    assert {"encoder.bias", "norms.0.weight", "fused.norm_beta"} <= of[0.02, 0.0]
    assert sum(len(g["params"]) for g in groups) == len(list(network.parameters()))


def test_schedule_warms_up_and_falls() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], 2.0)
    rate = schedule(optimizer, 10, warmup=2, final_rate=0.1)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rate.step()
    assert rates[:3] == [1.0, 2.0, 2.0]
    assert rates[6] == pytest.approx(2 * (0.1 + 0.9 * 0.5))
    assert rates[10] == pytest.approx(0.2)


def test_groups_without_parameters_of_a_kernel() -> None:
    groups = parameter_groups(S4D(4, 4, lr=0.0))
    assert [len(g["params"]) for g in groups] == [3, 1]
