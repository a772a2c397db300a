"""The minimal S4D of state-spaces/s4 beside that of this package.

The layer itself is that of a file, ``models/s4/s4d.py`` of a clone, which the environment variable
CROSSTATE_S4_LAYER names; without it an independent implementation takes its place.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import types
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

import crosstate  # noqa: E402
from crosstate.torch import S4D, batches, from_torch  # noqa: E402

pytestmark = pytest.mark.extras


class Convolution(nn.Module):
    """A layer with these parameters, computed from its impulse response."""

    def __init__(self, d_model: int, d_state: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.D = nn.Parameter(torch.randn(d_model))
        self.kernel = nn.Module()
        dt = torch.exp(torch.empty(d_model).uniform_(math.log(0.001), math.log(0.1)))
        self.kernel.C = nn.Parameter(torch.randn(d_model, d_state // 2, 2) * 0.5**0.5)
        self.kernel.log_dt = nn.Parameter(torch.log(dt))
        self.kernel.log_A_real = nn.Parameter(torch.full((d_model, d_state // 2), math.log(0.5)))
        frequencies = math.pi * torch.arange(d_state // 2, dtype=torch.float32)
        self.kernel.A_imag = nn.Parameter(frequencies.repeat(d_model, 1))
        self.output_linear = nn.Sequential(nn.Conv1d(d_model, 2 * d_model, 1), nn.GLU(-2))

    def forward(self, u: Any) -> Any:
        kernel = self.kernel
        length = u.shape[-1]
        poles = torch.complex(-torch.exp(kernel.log_A_real), kernel.A_imag)
        steps = torch.exp(kernel.log_dt).unsqueeze(-1) * poles
        weights = torch.view_as_complex(kernel.C) * torch.expm1(steps) / poles
        response = weights.unsqueeze(-1) * torch.exp(steps.unsqueeze(-1) * torch.arange(length))
        spectrum = torch.fft.rfft(2 * response.sum(1).real, 2 * length)
        y = torch.fft.irfft(spectrum * torch.fft.rfft(u, 2 * length), 2 * length)[..., :length]
        y = nn.functional.gelu(y + self.D.unsqueeze(-1) * u)
        return self.output_linear(y), None


def reference() -> Any:
    """The class of the layer."""
    path = os.environ.get("CROSSTATE_S4_LAYER")
    if not path:
        return Convolution
    modules = {name: types.ModuleType(name) for name in ("src", "src.models", "src.models.nn")}
    modules["src.models.nn"].DropoutNd = nn.Dropout1d  # type: ignore[attr-defined]
    sys.modules.update(modules)
    try:
        spec = importlib.util.spec_from_file_location("state_spaces_s4d", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name in modules:
            del sys.modules[name]
    return module.S4D


SIZES = [(h, n) for h in (1, 3, 16, 64) for n in (2, 4, 16, 32, 64)]


@pytest.mark.parametrize(("d_model", "d_state"), SIZES)
def test_same_outputs_and_gradients(d_model: int, d_state: int) -> None:
    torch.manual_seed(1000 * d_model + d_state)
    theirs = reference()(d_model, d_state)
    ours = S4D(d_model, d_state)
    ours.load_state_dict(theirs.state_dict())
    u = torch.randn(4, d_model, 200)
    y, expected = ours(u)[0], theirs(u)[0]
    difference = (y - expected).detach().abs().max()
    assert float(difference) <= 1e-4 * float(expected.detach().abs().max())
    weights = torch.randn_like(y)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    wanted = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        gradient = wanted[name].grad
        difference = float((parameter.grad - gradient).abs().max())
        assert difference <= 1e-3 * float(gradient.abs().max()) + 1e-6, name


class Network(nn.Module):
    """As a user of state-spaces/s4 writes it: the residual sum and a norm around every layer."""

    def __init__(self, layer: Any, norm: bool, width: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Linear(1, width)
        self.s4_layers = nn.ModuleList(layer(width, 16) for _ in range(2))
        self.norms = nn.ModuleList(
            nn.LayerNorm(width) if norm else nn.Identity() for _ in range(2))
        self.decoder = nn.Linear(width, 10)

    def forward(self, x: Any) -> Any:
        x = self.encoder(x).transpose(-1, -2)
        for layer, norm in zip(self.s4_layers, self.norms):
            x = norm((layer(x)[0] + x).transpose(-1, -2)).transpose(-1, -2)
        return self.decoder(x.mean(dim=-1))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("norm", [True, False])
def test_a_network_trained_there_has_the_same_predictions_here(norm: bool) -> None:
    sets = crosstate.Data.read(train_limit=300, test_limit=1000).arrays()
    torch.manual_seed(1)
    network = Network(reference(), norm)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.005)
    for epoch in range(2):
        for x, y in batches(sets.train.x, sets.train.labels, 25, epoch=epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
    network.eval()
    x = sets.test.x
    with torch.no_grad():
        expected = torch.cat([network(part) for part in torch.from_numpy(x).split(100)]).numpy()
    assert len(x) == 1000
    model = from_torch(network)
    found = model.outputs(x)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.array_equal(found.argmax(1), expected.argmax(1))
    if not norm:
        assert model.quantize(x[:200], sets.test.labels[:200], preset="w8a8s8").to_integers().integer
