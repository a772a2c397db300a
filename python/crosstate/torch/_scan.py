"""The scan of the library as an operator of PyTorch."""

# Annotations of operators are evaluated by PyTorch, which reads them as objects.
from typing import Any, Optional, Union

import numpy as np
import torch
from torch import Tensor

from .. import _core
from .._core import Error

#: Steps between the states that are kept for the adjoint, which computes those between again.
BLOCK = 32
LANES = 16
MOST_STATE_BITS = 16


def _array(tensor: Optional[Tensor]) -> Any:
    """The memory of a tensor, without a copy."""
    return None if tensor is None else tensor.detach().numpy()


def _core_scan(
    u: Tensor,
    ar: Tensor,
    ai: Optional[Tensor],
    gain: Optional[Tensor],
    cr: Tensor,
    ci: Optional[Tensor],
    d: Optional[Tensor],
    limit: float,
    rounding: str,
    residue_bits: Optional[Tensor],
    seeds: Optional[Tensor],
    first_step: int,
) -> Any:
    return _core.Scan(
        _array(u), _array(ar), _array(ai), _array(gain), _array(cr), _array(ci), _array(d),
        limit, rounding, _array(residue_bits), None, _array(seeds), first_step, BLOCK,
    )


def _kept_shape(u: Tensor, ar: Tensor, parts: int) -> tuple[int, int, int, int]:
    groups = (u.shape[0] + LANES - 1) // LANES
    blocks = (u.shape[2] + BLOCK - 1) // BLOCK
    return groups, u.shape[1], blocks, ar.shape[1] * parts * LANES


def _parts(limit: float, rounding: str) -> int:
    return 4 if limit > 0 and rounding == "noise-shaped" else 2


def _allocate(
    u: Tensor, ar: Tensor, limit: float, rounding: str, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    parts = _parts(limit, rounding)
    end = u.new_empty((u.shape[0], u.shape[1], ar.shape[1], parts))
    kept = u.new_empty(_kept_shape(u, ar, parts) if keep else (0, 0, 0, 0))
    return torch.empty_like(u), end, kept


@torch.library.custom_op("crosstate::scan", mutates_args=(), device_types="cpu")
def _scan(
    u: Tensor,
    ar: Tensor,
    ai: Optional[Tensor],
    gain: Optional[Tensor],
    cr: Tensor,
    ci: Optional[Tensor],
    d: Optional[Tensor],
    start: Optional[Tensor],
    limit: float,
    rounding: str,
    residue_bits: Optional[Tensor],
    seeds: Optional[Tensor],
    first_step: int,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    y, end, kept = _allocate(u, ar, limit, rounding, keep)
    scan = _core_scan(
        u, ar, ai, gain, cr, ci, d, limit, rounding, residue_bits, seeds, first_step
    )
    scan.forward(
        _array(y), _array(start), _array(end), _array(kept) if keep else None,
        torch.get_num_threads(),
    )
    return y, end, kept


@_scan.register_fake
def _scan_fake(
    u: Tensor,
    ar: Tensor,
    ai: Optional[Tensor],
    gain: Optional[Tensor],
    cr: Tensor,
    ci: Optional[Tensor],
    d: Optional[Tensor],
    start: Optional[Tensor],
    limit: float,
    rounding: str,
    residue_bits: Optional[Tensor],
    seeds: Optional[Tensor],
    first_step: int,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return _allocate(u, ar, limit, rounding, keep)


def _allocate_gradients(
    u: Tensor, ar: Tensor, end: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sums = ar.new_zeros((5, ar.shape[0], ar.shape[1]), dtype=torch.float64)
    return (
        torch.empty_like(u), torch.empty_like(end), sums,
        ar.new_zeros((ar.shape[0],), dtype=torch.float64),
    )


@torch.library.custom_op("crosstate::scan_adjoint", mutates_args=(), device_types="cpu")
def _adjoint(
    gy: Tensor,
    gend: Tensor,
    u: Tensor,
    ar: Tensor,
    ai: Optional[Tensor],
    gain: Optional[Tensor],
    cr: Tensor,
    ci: Optional[Tensor],
    d: Optional[Tensor],
    kept: Tensor,
    limit: float,
    rounding: str,
    residue_bits: Optional[Tensor],
    seeds: Optional[Tensor],
    first_step: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    gend = gend.contiguous()
    gu, gstart, sums, gd = _allocate_gradients(u, ar, gend)
    scan = _core_scan(
        u, ar, ai, gain, cr, ci, d, limit, rounding, residue_bits, seeds, first_step
    )
    scan.adjoint(
        _array(gy), _array(kept), _array(gend), _array(gu), _array(gstart), _array(sums),
        _array(gd) if d is not None else None, torch.get_num_threads(),
    )
    return gu, gstart, sums, gd


@_adjoint.register_fake
def _adjoint_fake(
    gy: Tensor,
    gend: Tensor,
    u: Tensor,
    ar: Tensor,
    ai: Optional[Tensor],
    gain: Optional[Tensor],
    cr: Tensor,
    ci: Optional[Tensor],
    d: Optional[Tensor],
    kept: Tensor,
    limit: float,
    rounding: str,
    residue_bits: Optional[Tensor],
    seeds: Optional[Tensor],
    first_step: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return _allocate_gradients(u, ar, torch.empty_like(gend, memory_format=torch.contiguous_format))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    u, ar, ai, gain, cr, ci, d, start, limit, rounding, residue_bits, seeds, first, _ = inputs
    ctx.save_for_backward(u, ar, ai, gain, cr, ci, d, residue_bits, seeds, output[2])
    ctx.options = (limit, rounding, first)
    ctx.has_start = start is not None


def _backward(ctx: Any, gy: Tensor, gend: Tensor, _: Any) -> tuple[Any, ...]:
    u, ar, ai, gain, cr, ci, d, residue_bits, seeds, kept = ctx.saved_tensors
    limit, rounding, first = ctx.options
    gu, gstart, sums, gd = _adjoint(
        gy, gend, u, ar, ai, gain, cr, ci, d, kept, limit, rounding, residue_bits, seeds, first
    )
    sums = sums.to(ar.dtype)
    return (
        gu,
        sums[0],
        sums[1] if ai is not None else None,
        sums[2] if gain is not None else None,
        sums[3],
        sums[4] if ci is not None else None,
        gd.to(ar.dtype) if d is not None else None,
        gstart if ctx.has_start else None,
        None, None, None, None, None, None,
    )


_scan.register_autograd(_backward, setup_context=_setup)


# Quantizers of weights. As operators they are opaque to torch.compile, like the scan.


@torch.library.custom_op("crosstate::fake_weights", mutates_args=(), device_types="cpu")
def fake_weights(values: Tensor, bits: int, per_row: bool) -> Tensor:
    """Weights [rows, columns, ...] at the values of their codes, with a scale per row or one."""
    codes = values.detach().to(torch.float32).reshape(values.shape[0], -1).clone()
    _core.quantize_weights(codes.numpy(), bits, per_row, None, 1.0)
    return codes.reshape(values.shape)


@fake_weights.register_fake
def _fake_weights_fake(values: Tensor, bits: int, per_row: bool) -> Tensor:
    return values.new_empty(values.shape, dtype=torch.float32)


@torch.library.custom_op("crosstate::fake_linear", mutates_args=(), device_types="cpu")
def fake_linear(
    weight: Tensor, bias: Tensor, bits: int, per_row: bool, input_scale: Tensor
) -> tuple[Tensor, Tensor]:
    """The same for a linear layer, whose bias has the codes of its sums of codes."""
    codes = weight.detach().to(torch.float32).reshape(weight.shape[0], -1).clone()
    shift = bias.detach().to(torch.float32).clone()
    _core.quantize_weights(codes.numpy(), bits, per_row, shift.numpy(), float(input_scale))
    return codes.reshape(weight.shape), shift


@fake_linear.register_fake
def _fake_linear_fake(
    weight: Tensor, bias: Tensor, bits: int, per_row: bool, input_scale: Tensor
) -> tuple[Tensor, Tensor]:
    return (
        weight.new_empty(weight.shape, dtype=torch.float32),
        bias.new_empty(bias.shape, dtype=torch.float32),
    )


@torch.library.custom_op("crosstate::fake_poles", mutates_args=(), device_types="cpu")
def fake_poles(re: Tensor, im: Tensor, bits: int, coding: str) -> tuple[Tensor, Tensor]:
    """Poles [channels, modes] at the values of their codes."""
    real, imaginary = re.detach().clone(), im.detach().clone()
    _core.quantize_poles(real.numpy(), imaginary.numpy(), bits, coding)
    return real, imaginary


@fake_poles.register_fake
def _fake_poles_fake(re: Tensor, im: Tensor, bits: int, coding: str) -> tuple[Tensor, Tensor]:
    return torch.empty_like(re), torch.empty_like(im)


def largest_code(bits: Optional[int]) -> float:
    """2^(bits-1) - 1; 0 for a state that is not rounded."""
    if bits is None:
        return 0.0
    if not 2 <= bits <= MOST_STATE_BITS:
        raise Error(f"state_bits = {bits}, expected 2 to {MOST_STATE_BITS}, or None for a float")
    return float(2 ** (bits - 1) - 1)


def rounding_of(rounding: str, residue_bits: Union[int, Tensor]) -> str:
    """The kind of rounding in the names of the scan."""
    if rounding not in ("nearest", "stochastic"):
        raise Error(f'rounding = "{rounding}", expected one of nearest, stochastic')
    if isinstance(residue_bits, int):
        if not 0 <= residue_bits <= _core.most_residue_bits:
            raise Error(
                f"residue_bits = {residue_bits}, expected 0 to {_core.most_residue_bits}"
            )
        if residue_bits == 0:
            return rounding
    if rounding == "stochastic":
        raise Error("residue_bits: a state with stochastic rounding has no residue")
    return "noise-shaped"


def require_cpu(u: Tensor, what: str) -> None:
    """Refuse what the kernels cannot compute with."""
    if u.device.type != "cpu":
        raise Error(f"{what} is on device {u.device}, expected a tensor on the CPU")
    if not u.is_floating_point():
        raise Error(f"{what} has type {u.dtype}, expected floating point")


def require_float32(parameter: Tensor) -> None:
    """Refuse a layer that was converted to another type."""
    if parameter.dtype != torch.float32:
        raise Error(
            f"the layer has parameters of type {parameter.dtype}, expected torch.float32 "
            "(module.float()): it computes in float32, also under autocast"
        )


def scan(
    u: Tensor,
    ar: Tensor,
    ai: Optional[Tensor],
    gain: Optional[Tensor],
    cr: Tensor,
    ci: Optional[Tensor],
    d: Optional[Tensor] = None,
    start: Optional[Tensor] = None,
    *,
    limit: float = 0.0,
    rounding: str = "nearest",
    residue_bits: Optional[Tensor] = None,
    seeds: Optional[Tensor] = None,
    first_step: int = 0,
) -> tuple[Tensor, Tensor]:
    """The operator on real tensors of float32: outputs and last state, in units of steps."""
    tensors = (u, ar, ai, gain, cr, ci, d, start)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y, end, _ = _scan(
        u, ar, ai, gain, cr, ci, d, start, limit, rounding, residue_bits, seeds, first_step, keep
    )
    return y, end


def _float(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32).contiguous()


def rounded_scan(
    u: Tensor,
    A: Tensor,
    B: Optional[Tensor],
    C: Tensor,
    D: Optional[Tensor] = None,
    *,
    state_bits: Optional[int] = None,
    step: Union[float, Tensor] = 1.0,
    rounding: str = "nearest",
    residue_bits: Union[int, Tensor] = 0,
    seed: Union[int, Tensor, None] = None,
    state: Optional[Tensor] = None,
    first_step: int = 0,
    return_state: bool = False,
) -> Any:
    """Diagonal state-space recurrence whose state is rounded at every time step.

    .. code-block:: text

        x_k = step round((A x_{k-1} + u_k) / step)        y_k = Re(sum over modes of C B x_k) + D u_k

    The gain B of the input is applied with C, since it only scales the state of a diagonal A; a
    conjugate pair of modes is one mode with twice its C. Rounded to nearest, ties go upwards; codes
    saturate at ``+-(2^(state_bits-1) - 1)``. Gradients pass straight through the rounding where
    the state did not saturate. Computed in float32 by the library, forward and backward, and
    the same on any number of threads (``torch.set_num_threads``).

    Parameters
    ----------
    u : Tensor [batch, channels, steps]
        Input; any strides, so a transposed view of [batch, steps, channels] is not copied.
    A : Tensor [channels, modes]
        Discretised poles, complex or (modes that only decay) real, with magnitudes up to 1.
    B : Tensor [channels, modes] or None
        Gain of the input, complex or real; None: 1.
    C : Tensor [channels, modes]
        Output weights, complex if A is.
    D : Tensor [channels], optional
        Weight of the direct path.
    state_bits : int, optional
        Bits of each part of the state, 2 to 16; None: the state is not rounded.
    step : float or Tensor [channels, modes]
        Value of one code of the state.
    rounding : {"nearest", "stochastic"}
        Of a state without a residue.
    residue_bits : int or uint8 Tensor [channels, modes]
        Bits of the rounding error that are kept and added in the next step (a noise-shaped state,
        docs/arithmetic.md); 0: none.
    seed : int or int32 Tensor [batch], optional
        Of stochastic rounding, for all sequences or each; None: that of deployed networks.
    state : Tensor [batch, channels, modes, 2 or 4], optional
        Codes before the first step, as returned: real and imaginary parts, then their residues if
        the state is noise-shaped; None: zeros.
    first_step : int
        Number of the first step, which addresses the draws of stochastic rounding.
    return_state : bool
        Whether to return the last state as well.

    Returns
    -------
    y : Tensor [batch, channels, steps], float32
    state : Tensor, only with ``return_state``

    Raises
    ------
    Error
        For shapes that do not fit, bits out of range, and tensors that are not on the CPU.

    References
    ----------
    S4D: Gu et al., arXiv 2206.11893. The state rounded in the loop: QS4D, arXiv 2507.06079.
    """
    require_cpu(u, "u")
    if u.dim() != 3:
        raise Error(f"u has {u.dim()} dimensions, expected [batch, channels, steps]")
    limit, kind = largest_code(state_bits), rounding_of(rounding, residue_bits)
    shape = (u.shape[1], A.shape[-1])
    if A.is_complex() != C.is_complex():
        raise Error("A and C are one complex, one real, expected both of one kind")
    gains = C if B is None else C * B
    if not A.is_complex() and gains.is_complex():
        raise Error("B is complex, expected a real one with real A and C")
    gain = None
    if limit > 0:
        value = torch.as_tensor(step, dtype=torch.float32).expand(shape)
        gain, gains = _float(1 / value), gains * value
    if isinstance(residue_bits, int):
        bits = torch.full(shape, residue_bits, dtype=torch.uint8)
    else:
        bits = residue_bits.to(torch.uint8).contiguous()
    seeds = None
    if limit > 0 and kind == "stochastic":
        seeds = seeds_of(seed, u.shape[0])
    parts = [_float(A.real), _float(A.imag)] if A.is_complex() else [_float(A), None]
    out = [_float(gains.real), _float(gains.imag)] if A.is_complex() else [_float(gains), None]
    y, end = scan(
        u.to(torch.float32), parts[0], parts[1], gain, out[0], out[1],
        None if D is None else _float(D), None if state is None else _float(state),
        limit=limit, rounding=kind, residue_bits=bits if kind == "noise-shaped" else None,
        seeds=seeds, first_step=first_step,
    )
    return (y, end) if return_state else y


def seeds_of(seed: Union[int, Tensor, None], batch: int) -> Tensor:
    """Seeds of stochastic rounding, one per sequence."""
    if isinstance(seed, Tensor):
        return seed.to(torch.int32).contiguous()
    value = _core.state_seed if seed is None else seed
    return torch.full((batch,), int(np.uint32(value & 0xFFFFFFFF).astype(np.int32)),
                      dtype=torch.int32)
