#!/usr/bin/env python3
"""Times training steps of networks of crosstate.torch beside PyTorch's own layers and the library.

    PYTHONPATH=build/release/python bench/pytorch.py [--peer SCRIPT]

Every network has an encoder, blocks of S4D with GELU, gated linear layer, residual sum and layer
norm, mean pooling and a decoder, trained by AdamW on random sequences:

- layers: crosstate.torch.S4D with an 8-bit state, everything else PyTorch's own layers
- blocks: crosstate.torch.S4DBlock with an 8-bit state, one by one
- joined: the same blocks and the mean as one function, crosstate.torch.S4DBlocks
- convolution: the float recurrence as a convolution by FFT, in plain PyTorch
- library: `crosstate bench train`, the library's own step with an 8-bit state
- with --peer, a script that is run as `SCRIPT CHANNELS STATES LAYERS BATCH MODE STEPS` and prints
  "per60k SECONDS", with the modes of --modes

Rounds alternate between all of them, so that a slow phase of the machine meets each; the result is
the fastest and the median step. Writes JSON to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crosstate
import torch
from crosstate.torch import S4D, S4DBlock, S4DBlocks
from torch import nn


class Layers(nn.Module):
    """S4D with an 8-bit state, and layers of PyTorch."""

    def __init__(self, channels: int, states: int, layers: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(1, channels)
        self.layers = nn.ModuleList(
            S4D(channels, states, transposed=False, state_bits=8) for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(layers))
        self.decoder = nn.Linear(channels, 10)

    def forward(self, x: torch.Tensor) -> Any:
        h = self.encoder(x)
        for layer, norm in zip(self.layers, self.norms):
            h = norm(h + layer(h)[0])
        return self.decoder(h.mean(1))


class Blocks(nn.Module):
    """S4DBlock with an 8-bit state."""

    def __init__(self, channels: int, states: int, layers: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(1, channels)
        blocks = (
            S4DBlock(channels, states, transposed=False, format="float", state__bits=8)
            for _ in range(layers)
        )
        self.blocks = S4DBlocks(*blocks, mean=True)
        self.decoder = nn.Linear(channels, 10)

    def calibrate(self, x: torch.Tensor) -> None:
        self.blocks.calibrate(self.encoder(x))

    def forward(self, x: torch.Tensor) -> Any:
        h = self.encoder(x)
        for block in self.blocks:
            h = block(h)
        return self.decoder(h.mean(1))


class Joined(Blocks):
    def forward(self, x: torch.Tensor) -> Any:
        return self.decoder(self.blocks(self.encoder(x)))


class Convolution(nn.Module):
    """The float layer as a convolution with the kernel 2 Re sum C (exp(dt A) - 1) / A exp(dt A l)."""

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.of = S4D(channels, states)

    def forward(self, h: torch.Tensor) -> Any:
        length = h.shape[1]
        kernel = self.of.kernel
        dt = torch.exp(kernel.log_dt)[:, None]
        a = dt * torch.complex(-torch.exp(kernel.log_A_real), kernel.A_imag)
        c = torch.view_as_complex(kernel.C) * (torch.exp(a) - 1) * dt / a
        powers = torch.exp(a[..., None] * torch.arange(length))
        response = 2 * torch.einsum("hn,hnl->hl", c, powers).real
        u = h.transpose(1, 2)
        spectrum = torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(response, n=2 * length)
        y = torch.fft.irfft(spectrum, n=2 * length)[..., :length].transpose(1, 2) + self.of.D * h
        linear = self.of.output_linear[0]
        z = nn.functional.linear(nn.functional.gelu(y), linear.weight.squeeze(-1), linear.bias)
        return nn.functional.glu(z, -1)


class Convolutions(Layers):
    def __init__(self, channels: int, states: int, layers: int) -> None:
        super().__init__(channels, states, layers)
        self.layers = nn.ModuleList(Convolution(channels, states) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> Any:
        h = self.encoder(x)
        for layer, norm in zip(self.layers, self.norms):
            h = norm(h + layer(h))
        return self.decoder(h.mean(1))


def training(network: nn.Module, batch: int, length: int) -> Callable[[], float]:
    """One training step, which returns its seconds."""
    x, y = torch.rand(batch, length, 1), torch.randint(0, 10, (batch,))
    if isinstance(network, Blocks):
        network.calibrate(x)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        return time.perf_counter() - start

    step()
    step()
    return step


def own_step(shape: tuple[int, int, int], options: argparse.Namespace) -> list[float]:
    channels, states, layers = shape
    program = Path(crosstate.__file__).parent / "bin" / "crosstate"
    text = subprocess.run(
        [program, "bench", "train", "--channels", str(channels), "--states", str(states),
         "--layers", str(layers), "--length", str(options.length), "--batch", str(options.batch),
         "--preset", "float", "--state-bits", "8", "--threads", str(options.threads),
         "--repeats", str(options.steps)],
        check=True, capture_output=True, text=True,
    ).stdout
    times = json.loads(text)["step_ms"]
    return [times["min"] / 1e3, times["median"] / 1e3]


def peer_step(mode: str, shape: tuple[int, int, int], options: argparse.Namespace) -> list[float]:
    threads = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    text = subprocess.run(
        [sys.executable, options.peer, *map(str, shape), str(options.batch), mode,
         str(options.steps)],
        check=True, capture_output=True, text=True, env={**os.environ, **threads},
    ).stdout
    found = re.search(r"per60k ([0-9.]+)", text)
    if found is None:
        raise SystemExit(f"{options.peer}: no 'per60k' in {text!r}")
    least = re.search(r"min ([0-9.]+)", text)
    step = float(found.group(1)) * options.batch / 60000
    return [step if least is None else float(least.group(1)), step]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["16/16/2", "64/64/4"],
                        help="channels/states/layers")
    parser.add_argument("--length", type=int, default=784)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="of every network in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help="script of other implementations, run after the rounds")
    parser.add_argument("--modes", nargs="+", default=["conv", "chunk28"])
    parser.add_argument("--only", nargs="+",
                        default=["layers", "blocks", "joined", "convolution", "library"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    kinds: dict[str, type[nn.Module]] = {
        "layers": Layers, "blocks": Blocks, "joined": Joined, "convolution": Convolutions,
    }
    results: dict[str, Any] = {}
    for size in options.sizes:
        channels, states, layers = map(int, size.split("/"))
        shape = (channels, states, layers)
        torch.manual_seed(1)
        steps = {
            name: training(kinds[name](*shape), options.batch, options.length)
            for name in options.only if name in kinds
        }
        seconds: dict[str, list[list[float]]] = {name: [] for name in options.only}
        for _ in range(options.rounds):
            for name, step in steps.items():
                times = [step() for _ in range(options.steps)]
                seconds[name].append([min(times), statistics.median(times)])
            if "library" in options.only:
                seconds["library"].append(own_step(shape, options))
        if options.peer:
            for mode in options.modes:
                seconds["peer " + mode] = [peer_step(mode, shape, options)]
        results[size] = {}
        for name, rounds in seconds.items():
            least = min(one[0] for one in rounds)
            median = statistics.median(one[1] for one in rounds)
            results[size][name] = {
                "step_ms": {"min": 1e3 * least, "median": 1e3 * median},
                "seconds_per_60000": 60000 / options.batch * median,
            }
            print(f"{size} {name}: {1e3 * least:.1f} ms at best, median {1e3 * median:.1f} ms",
                  file=sys.stderr)
    settings = {key: getattr(options, key) for key in ("length", "batch", "threads")}
    print(json.dumps({"settings": settings, "torch": torch.__version__, "results": results},
                     indent=2))


if __name__ == "__main__":
    main()
