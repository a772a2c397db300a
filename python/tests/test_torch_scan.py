"""The scan as an operator of PyTorch, against loops over time in double precision."""

from __future__ import annotations

import math
import os
import platform
import signal
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from crosstate import Error  # noqa: E402
from crosstate.torch import rounded_scan  # noqa: E402
from crosstate.torch._scan import _scan  # noqa: E402

pytestmark = pytest.mark.extras

BATCH, CHANNELS, MODES, STEPS = 19, 5, 3, 45


def mix(x: np.ndarray) -> np.ndarray:
    """crosstate/kernels/state_draws.h."""
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def draws(seeds: np.ndarray, step: int) -> tuple[Any, Any]:
    """Offsets of stochastic rounding of both parts, [batch, channels, modes]."""
    modes = np.arange(CHANNELS * MODES, dtype=np.uint32).reshape(CHANNELS, MODES)
    key = mix(seeds.astype(np.uint32)[:, None, None] ^ mix(modes)[None])
    bits = mix(key ^ mix(np.full_like(key, step)))
    parts = bits >> np.uint32(18), (bits >> np.uint32(4)) & np.uint32(0x3FFF)
    return tuple(torch.tensor((p.astype(np.float64) + 0.5) * 2.0**-14 - 0.5) for p in parts)


def quantized(total: Any, offset: Any, limit: float) -> Any:
    """Rounded to nearest with a straight-through gradient inside the range."""
    codes = torch.floor(total + offset + 0.5).detach()
    inside = torch.clamp(codes, -limit, limit)
    # Where the state saturates the gradient is 0, as of a clamp.
    passing = (inside.abs() < limit).to(total.dtype)
    return inside + passing * (total - total.detach())


def reference(u: Any, a: Any, gain: Any, c: Any, d: Any, x: Any, limit: float = 0.0,
              seeds: np.ndarray | None = None, residue: int | None = None) -> tuple[Any, Any]:
    """x_k = round(a x_{k-1} + gain u_k), y_k = Re(c x_k) + d u_k, part by part."""
    re, im = x.real, x.imag
    zeros = torch.zeros_like(re)
    e = [zeros, zeros]
    out = []
    for t in range(u.shape[2]):
        sums = [
            a.real * re - a.imag * im + gain * u[:, :, t, None],
            a.real * im + a.imag * re,
        ]
        if limit > 0:
            offsets = [torch.full_like(re, 2.0**-15)] * 2
            if seeds is not None:
                offsets = list(draws(seeds, t))
            for p in range(2):
                if residue is None:
                    sums[p] = quantized(sums[p], offsets[p], limit)
                    continue
                held = torch.floor((sums[p] + e[p]).detach() * 2.0**residue + 0.5) / 2.0**residue
                nearest = torch.floor(held + 0.5)
                code = torch.clamp(nearest, -limit, limit)
                e[p] = torch.where(code == nearest, held - code, zeros)
                sums[p] = code + (code.abs() < limit) * (sums[p] - sums[p].detach())
        re, im = sums
        out.append((c.real * re - c.imag * im).sum(-1) + d * u[:, :, t])
    return torch.stack(out, -1), torch.complex(re, im)


def grid(x: Any, places: float) -> Any:
    return torch.round(x * places) / places


def inputs(seed: int = 0, exact: bool = False) -> dict[str, Any]:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    radius = torch.rand(CHANNELS, MODES, generator=g, dtype=torch.float64) * 0.3 + 0.69
    phase = torch.rand(CHANNELS, MODES, generator=g, dtype=torch.float64) * 2
    a = torch.polar(radius, phase)
    u = normal(BATCH, CHANNELS, STEPS)
    if exact:  # no sum depends on how a float is rounded
        a = torch.complex(grid(a.real, 2.0**7), grid(a.imag, 2.0**7))
        u = grid(3 * u, 4)
    return {
        "u": u, "A": a, "C": torch.complex(normal(CHANNELS, MODES), normal(CHANNELS, MODES)),
        "D": normal(CHANNELS),
    }


def leaf(x: Any, kind: Any) -> Any:
    return x.detach().to(kind).requires_grad_()


def close(found: Any, expected: Any, tolerance: float) -> None:
    found, expected = found.detach(), expected.detach()
    scale = float(expected.abs().max())
    assert float((found - expected).abs().max()) <= tolerance * scale


def compare(given: dict[str, Any], tolerance: float, options: dict[str, Any],
            loop: dict[str, Any], gain: float = 1.0, time_major: bool = False) -> None:
    """Outputs and gradients of all tensors."""
    ours = {k: leaf(v, torch.complex64 if v.is_complex() else torch.float32)
            for k, v in given.items()}
    theirs = {k: leaf(v, v.dtype) for k, v in given.items()}
    u = ours["u"]
    if time_major:
        u = u.transpose(1, 2).contiguous().transpose(1, 2)
    y = rounded_scan(u, ours["A"], None, ours["C"], ours["D"], **options)
    start = torch.zeros(BATCH, CHANNELS, MODES, dtype=torch.complex128)
    expected, _ = reference(theirs["u"], theirs["A"], gain, theirs["C"] / gain, theirs["D"], start,
                            **loop)
    close(y, expected, tolerance)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(9))
    (y * weights).sum().backward()
    (expected * weights.double()).sum().backward()
    for name, tensor in ours.items():
        assert tensor.grad is not None
        close(tensor.grad, theirs[name].grad, 1e-3)


@pytest.mark.parametrize("time_major", [False, True])
def test_gradients_of_a_float_state(time_major: bool) -> None:
    compare(inputs(), 2e-5, {}, {}, time_major=time_major)


@pytest.mark.parametrize("time_major", [False, True])
def test_nearest(time_major: bool) -> None:
    compare(inputs(1, exact=True), 1e-5, {"state_bits": 6, "step": 0.5}, {"limit": 31.0}, 2.0,
            time_major)


def test_noise_shaped() -> None:
    compare(inputs(2, exact=True), 1e-5, {"state_bits": 5, "residue_bits": 3},
            {"limit": 15.0, "residue": 3})


def test_stochastic() -> None:
    seeds = np.arange(BATCH) * 77 + 5
    compare(inputs(3, exact=True), 1e-5,
            {"state_bits": 6, "rounding": "stochastic", "seed": torch.tensor(seeds)},
            {"limit": 31.0, "seeds": seeds})


def test_stochastic_is_right_in_the_mean() -> None:
    given = inputs(4)
    u = given["u"].float()[:1].expand(400, -1, -1)
    a, c = given["A"].to(torch.complex64), given["C"].to(torch.complex64)
    y = rounded_scan(u, a, None, c, state_bits=8, step=0.25, rounding="stochastic",
                     seed=torch.arange(400))
    exact = rounded_scan(u[:1], a, None, c)
    deviation = (y - exact).std(0) / math.sqrt(400)
    assert float(((y.mean(0) - exact[0]).abs() / deviation.clamp_min(1e-4)).max()) < 6


@pytest.mark.parametrize(
    "options", [{}, {"state_bits": 8}, {"state_bits": 8, "residue_bits": 4},
                {"state_bits": 8, "rounding": "stochastic"}])
def test_continues_from_a_state(options: dict[str, Any]) -> None:
    given = inputs(5)
    u, a = given["u"].float(), given["A"].to(torch.complex64)
    c = given["C"].to(torch.complex64)
    whole, end = rounded_scan(u, a, None, c, return_state=True, **options)
    first, state = rounded_scan(u[..., :13], a, None, c, return_state=True, **options)
    rest, last = rounded_scan(u[..., 13:], a, None, c, state=state, first_step=13,
                              return_state=True, **options)
    assert torch.equal(torch.cat((first, rest), -1), whole)
    assert torch.equal(last, end)
    assert end.shape == (BATCH, CHANNELS, MODES, 4 if "residue_bits" in options else 2)


def test_gradients_pass_through_the_state() -> None:
    given = inputs(6)
    a, c = given["A"].to(torch.complex64), given["C"].to(torch.complex64)
    whole, cut = leaf(given["u"], torch.float32), leaf(given["u"], torch.float32)
    rounded_scan(whole, a, None, c).sin().sum().backward()
    first, state = rounded_scan(cut[..., :20], a, None, c, return_state=True)
    rest = rounded_scan(cut[..., 20:], a, None, c, state=state)
    (first.sin().sum() + rest.sin().sum()).backward()
    close(cut.grad, whole.grad, 1e-5)


def test_gain_of_the_input_and_real_modes() -> None:
    given = inputs(7)
    u = given["u"].float()
    a, c = given["A"].to(torch.complex64), given["C"].to(torch.complex64)
    b = torch.complex(torch.randn(CHANNELS, MODES), torch.randn(CHANNELS, MODES))
    close(rounded_scan(u, a, b, c), rounded_scan(u, a, None, b * c), 1e-6)
    decays, weights = a.real.contiguous(), c.real.contiguous()
    y = rounded_scan(u, decays, None, weights)
    close(y, rounded_scan(u, decays + 0j, None, weights + 0j), 1e-6)


def test_is_the_same_on_any_number_of_threads() -> None:
    given = inputs(8)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            a = leaf(given["A"], torch.complex64)
            u = given["u"].float()
            y = rounded_scan(u, a, None, given["C"].to(torch.complex64), state_bits=8)
            y.square().sum().backward()
            found.append((y, a.grad))
    finally:
        torch.set_num_threads(threads)
    for y, gradient in found[1:]:
        assert torch.equal(y, found[0][0])
        assert torch.equal(gradient, found[0][1])


def test_operator_is_declared_completely() -> None:
    given = inputs(9)
    a, c = given["A"].to(torch.complex64), given["C"].to(torch.complex64)
    torch.library.opcheck(
        _scan,
        (given["u"].float().requires_grad_(), a.real.contiguous().requires_grad_(),
         a.imag.contiguous(), None, c.real.contiguous(), c.imag.contiguous(), None, None, 0.0,
         "nearest", None, None, 0, True),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state_bits": 1}, "state_bits = 1, expected 2 to 16"),
        ({"state_bits": 8, "residue_bits": 15}, "residue_bits = 15, expected 0 to 14"),
        ({"state_bits": 8, "rounding": "down"}, 'rounding = "down"'),
        ({"rounding": "stochastic", "residue_bits": 2}, "has no residue"),
        ({"u": torch.zeros(2, 3)}, "u has 2 dimensions"),
        ({"u": torch.zeros(2, 3, 4, dtype=torch.int64)}, "expected floating point"),
        ({"u": torch.zeros(2, CHANNELS + 1, 4)}, "another shape"),
        ({"C": torch.zeros(CHANNELS, MODES)}, "one complex, one real"),
    ],
)
def test_refuses(change: dict[str, Any], message: str) -> None:
    given = inputs(10)
    arguments: dict[str, Any] = {
        "u": given["u"].float(), "A": given["A"].to(torch.complex64), "B": None,
        "C": given["C"].to(torch.complex64), **change,
    }
    with pytest.raises(Error, match=message.replace("(", r"\(")):
        rounded_scan(**arguments)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_threads_and_forks_change_nothing() -> None:
    torch.manual_seed(3)
    u = torch.randn(40, 7, 65)
    modes = torch.polar(torch.full((7, 4), 0.9), torch.rand(7, 4))
    gains = torch.randn(7, 4, dtype=torch.complex64)

    def scanned() -> torch.Tensor:
        result: torch.Tensor = rounded_scan(u, modes, None, gains, state_bits=8, step=0.1)
        return result

    threads = torch.get_num_threads()
    try:
        results = []
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append(scanned())
        assert all(torch.equal(r, results[0]) for r in results)
        # A forked process has none of the threads that have just worked.
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if torch.equal(scanned(), results[0]) else 2
            finally:
                os._exit(status)
    finally:
        torch.set_num_threads(threads)
    timer = threading.Timer(60, os.kill, (child, signal.SIGKILL))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    assert os.waitstatus_to_exitcode(status) == 0


FAULTS = """
import resource, torch, crosstate.torch
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), *(faults() for _ in range(19)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_memory_stays_mapped() -> None:
    def run(**settings: str) -> list[int]:
        environment = {**os.environ, **settings}
        out = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True,
                             text=True, env=environment).stdout
        return [int(number) for number in out.split()]

    first, *later = run()
    # Small objects may take a part of what was freed, until they have found their places.
    assert sorted(later)[9] <= first // 4
    # Unless the user has chosen otherwise.
    assert min(run(MALLOC_MMAP_THRESHOLD_="1000000")) >= first // 2
