"""S4D as a module: the minimal layer of state-spaces/s4, with a state that may be rounded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .. import _core
from .._core import Error
from ._scan import (
    BLOCK, fake_linear, fake_poles, fake_weights, largest_code, require_cpu, require_float32,
    rounding_of, scan, seeds_of,
)

#: Bits of all sites, or of each by name; None: floats.
Bits = Union[int, Mapping[str, Union[int, None]], None]

WEIGHT_SITES = ("c", "d", "weight")
ACTIVATION_SITES = ("ssm_output", "activation", "linear", "gate")
CODINGS = ("log-polar", "polar", "cartesian", "increment")

#: Least value of a state for which a step is chosen.
_LEAST_PEAK = 1e-6


def bits_of(bits: Bits, sites: tuple[str, ...], what: str) -> dict[str, int | None]:
    """The bits of every site."""
    given = dict(bits) if isinstance(bits, Mapping) else dict.fromkeys(sites, bits)
    for site, value in given.items():
        if site not in sites:
            raise Error(f'{what}: no site "{site}", expected {", ".join(sites)}')
        if value is not None and not 2 <= value <= 16:
            raise Error(f"{what} = {value}, expected 2 to 16, or None for floats")
    return {site: given.get(site) for site in sites}


class State(NamedTuple):
    """What a layer keeps between time steps."""

    #: Codes (without rounding: values), [batch, d_model, d_state / 2, 2 or 4].
    values: Tensor
    #: Time steps since the start.
    steps: int


def steps_together(x: Tensor) -> bool:
    """Whether the values of a time step of x [batch, channels, length] are neighbours in memory."""
    return x.stride(1) == 1 and x.stride(2) != 1


def _straight_through(exact: Tensor, rounded: Tensor) -> Tensor:
    return exact + (rounded - exact).detach()


def _noise(values: Tensor, deviation: float) -> Tensor:
    return values * (1 + deviation * torch.randn_like(values))


class ActivationQuantizer(nn.Module):
    """Fake quantization of values between two layers, with a learned scale.

    Codes times a power of two (ties upwards), as those of the library: symmetric,
    ``-(2^(bits-1) - 1) .. 2^(bits-1) - 1``, or affine, ``least .. least + 2^bits - 1``, which
    contain 0. The scale starts at the range of the first training batch and is trained by learned
    step size quantization (Esser et al., arXiv 1902.08153).

    Parameters
    ----------
    bits : int
        2 to 16.
    codes : {"symmetric", "auto"}
        "auto": affine if one side of 0 is hardly used.
    """

    least: Tensor

    def __init__(self, bits: int, codes: str = "symmetric") -> None:
        super().__init__()
        if not 2 <= bits <= 16:
            raise Error(f"activation_bits = {bits}, expected 2 to 16")
        if codes not in ("symmetric", "auto"):
            raise Error(f'codes = "{codes}", expected one of symmetric, auto')
        self.bits = bits
        self.codes = codes
        self.log_scale = nn.Parameter(torch.tensor(math.nan))
        self.register_buffer("least", torch.tensor(-largest_code(bits)))
        self.measured = False

    @torch.no_grad()
    def measure(self, x: Tensor) -> None:
        """Choose the scale, and the least code, for the values of x."""
        low, high = (float(end) for end in torch.aminmax(x.detach()))
        low, high = min(low, 0.0), max(high, 0.0)
        symmetric = largest_code(self.bits)
        affine = self.codes == "auto" and (-low < high / 3 or high < -low / 3)
        most = 2.0**self.bits - 1 if affine else symmetric
        scale = max(high - low if affine else max(high, -low), 1e-8) / most
        least = -symmetric
        if affine:
            wanted = min(max(low / 2.0 ** round(math.log2(scale)), -most), 0.0)
            least = round(wanted)
            if least == -symmetric:  # which would be read as symmetric codes
                least += 1 if wanted > -symmetric else -1
        self.log_scale.fill_(math.log(scale))
        self.least.fill_(least)
        self.measured = True

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.measured = bool(torch.isfinite(self.log_scale))

    @property
    def scale(self) -> Tensor:
        """The value of one code."""
        exponent = self.log_scale / math.log(2)
        return torch.exp2(_straight_through(exponent, torch.round(exponent)))

    def forward(self, x: Tensor) -> Tensor:
        symmetric = largest_code(self.bits)
        affine = self.least + (2.0**self.bits - 1)
        high = torch.where(self.least == -symmetric, symmetric, affine)
        scale = self.scale
        inside = torch.clamp(x / scale, self.least, high)
        return scale * _straight_through(inside, torch.floor(inside + 0.5))


def _register(module: nn.Module, name: str, value: Tensor, lr: float | None) -> None:
    """A parameter without weight decay and with its own learning rate; with lr = 0 a buffer."""
    if lr == 0.0:
        module.register_buffer(name, value)
        return
    parameter = nn.Parameter(value)
    options = {"weight_decay": 0.0}
    if lr is not None:
        options["lr"] = lr
    parameter._optim = options  # type: ignore[attr-defined]
    module.register_parameter(name, parameter)


class S4DKernel(nn.Module):
    """Parameters of the recurrence and their discretisation.

    ``A = -exp(log_A_real) + i A_imag``, ``dt = exp(log_dt)`` (Gu et al., arXiv 2206.11893,
    sections 3 and 4). Names, shapes and first values are those of the minimal S4D.
    """

    def __init__(
        self,
        d_model: int,
        N: int = 64,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        lr: float | None = None,
        discretization: str = "zoh",
    ) -> None:
        super().__init__()
        if N < 2 or N % 2 != 0:
            raise Error(f"d_state = {N}, expected an even number: a complex mode has two states")
        if discretization not in ("zoh", "bilinear"):
            raise Error(f'discretization = "{discretization}", expected one of zoh, bilinear')
        if not 0 < dt_min <= dt_max:
            raise Error(f"dt_min = {dt_min}, expected above 0 and at most dt_max = {dt_max}")
        self.discretization = discretization
        low, high = math.log(dt_min), math.log(dt_max)
        log_dt = torch.rand(d_model) * (high - low) + low
        C = torch.randn(d_model, N // 2, dtype=torch.cfloat)
        self.C = nn.Parameter(torch.view_as_real(C))
        _register(self, "log_dt", log_dt, lr)
        _register(self, "log_A_real", torch.log(0.5 * torch.ones(d_model, N // 2)), lr)
        A_imag = math.pi * torch.arange(N // 2).repeat(d_model, 1)
        _register(self, "A_imag", A_imag, lr)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Poles and output weights of the discrete system, complex128 [d_model, d_state / 2].

        The factor 2 of conjugate pairs and the gain of the input are in the weights.
        """
        dt = torch.exp(self.log_dt.double()).unsqueeze(-1)
        A = torch.complex(-torch.exp(self.log_A_real.double()), self.A_imag.double())
        C = torch.view_as_complex(self.C.double())
        if self.discretization == "zoh":
            a = torch.exp(dt * A)
            gain = (a - 1) / A
        else:
            a = (1 + dt * A / 2) / (1 - dt * A / 2)
            gain = dt / (1 - dt * A / 2)
        return a, 2 * C * gain


class S4D(nn.Module):
    """Diagonal state-space layer: recurrence, GELU, pointwise linear layer, GLU.

    A drop-in replacement of the minimal S4D of state-spaces/s4: the same arguments, parameter names,
    shapes, first values and outputs. The recurrence is computed step by step in linear time by the
    library instead of as a convolution, so its state can be rounded. Computes in float32 also under
    autocast.

    Parameters
    ----------
    d_model : int
        Channels.
    d_state : int
        States per channel: twice the number of complex modes.
    dropout : float
        Share of the channels of a sequence dropped in training, at all steps.
    transposed : bool
        Whether sequences are [batch, d_model, length], else [batch, length, d_model].
    dt_min, dt_max : float
        Range of the first step sizes.
    lr : float, optional
        Learning rate of the parameters of the kernel, as their attribute ``_optim``; 0: buffers.
    discretization : {"zoh", "bilinear"}
        Zero-order hold, or bilinear.
    state_bits : int, optional
        Bits of both parts of every state, 2 to 16; None: not rounded.
    residue_bits : int
        Bits of the rounding error added in the next step (a noise-shaped state); 0: none.
    rounding : {"nearest", "stochastic"}
        Of a state without a residue. Stochastic: new draws in every training step; in evaluation
        those of deployed networks.
    residue : {"uniform", "by-pole"}
        "by-pole": log2(1 / (1 - abs(A))), rounded up, and ``residue_margin``, at most
        ``residue_bits`` of every mode.
    residue_margin : int
        Bits in addition, with ``residue="by-pole"``.
    weight_bits : int or dict, optional
        Bits of C, D and the linear layer, with one scale per output channel (D: one scale); or of
        each: ``{"c": 8, "d": 8, "weight": 4}``.
    pole_bits : int, optional
        Bits of decay and phase of every pole; None: ``weight_bits``, if that is one number.
    pole_coding : {"log-polar", "polar", "cartesian", "increment"}
        Of poles (``quant.a.coding``).
    activation_bits : int or dict, optional
        Bits of the values after the recurrence, after GELU, after the linear layer and of the gate;
        or of each: ``{"ssm_output": 8, "activation": 8, "linear": 8, "gate": 8}``.
    norm : {"none", "batch"}
        "batch": a batch norm between the linear layer and GLU (``output_norm``), which a deployed
        network does without, since it is folded into the linear layer.
    device_noise : float
        Standard deviation of the relative error of every weight in training, as of cells:
        of the parts of A - 1, of C, D and the linear layer; drawn anew in every step.

    Notes
    -----
    The steps of states, powers of two, and the scales of activations are chosen in the first
    training step, or by :meth:`calibrate`; ``state_dict`` has them.
    """

    state_step: Tensor

    def __init__(
        self,
        d_model: int,
        d_state: int = 64,
        dropout: float = 0.0,
        transposed: bool = True,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        lr: float | None = None,
        *,
        discretization: str = "zoh",
        norm: str = "none",
        state_bits: int | None = None,
        residue_bits: int = 0,
        rounding: str = "nearest",
        residue: str = "uniform",
        residue_margin: int = -3,
        weight_bits: Bits = None,
        pole_bits: int | None = None,
        pole_coding: str = "log-polar",
        activation_bits: Bits = None,
        device_noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.h = d_model
        self.n = d_state
        self.d_output = d_model
        self.transposed = transposed
        self.state_limit = largest_code(state_bits)
        self.rounding = rounding_of(rounding, residue_bits) if state_bits else "nearest"
        if state_bits is None and residue_bits != 0:
            raise Error("residue_bits has no effect without state_bits")
        if residue not in ("uniform", "by-pole"):
            raise Error(f'residue = "{residue}", expected one of uniform, by-pole')
        if pole_coding not in CODINGS:
            raise Error(f'pole_coding = "{pole_coding}", expected one of {", ".join(CODINGS)}')
        bits = bits_of(weight_bits, WEIGHT_SITES, "weight_bits")
        bits |= bits_of(activation_bits, ACTIVATION_SITES, "activation_bits")
        if pole_bits is None and not isinstance(weight_bits, Mapping):
            pole_bits = weight_bits
        bits |= bits_of(pole_bits, ("a",), "pole_bits")
        self.bits = bits
        if not 0 <= device_noise < math.inf:
            raise Error(f"device_noise = {device_noise}, expected 0 or more")
        self.state_bits = state_bits
        self.residue_bits = residue_bits
        self.residue = residue
        self.residue_margin = residue_margin
        self.pole_coding = pole_coding
        self.device_noise = device_noise

        self.D = nn.Parameter(torch.randn(d_model))
        self.kernel = S4DKernel(d_model, d_state, dt_min, dt_max, lr, discretization)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout1d(dropout) if dropout > 0.0 else nn.Identity()
        self.output_linear = nn.Sequential(
            nn.Conv1d(d_model, 2 * d_model, kernel_size=1), nn.GLU(dim=-2)
        )
        if norm not in ("none", "batch"):
            raise Error(f'norm = "{norm}", expected one of none, batch')
        self.output_norm = nn.BatchNorm1d(2 * d_model) if norm == "batch" else nn.Identity()
        if state_bits is not None:
            self.register_buffer("state_step", torch.full((d_model, d_state // 2), math.nan))
        self.quantizers = nn.ModuleDict(
            {
                site: ActivationQuantizer(value, "auto" if site == "activation" else "symmetric")
                for site, value in bits.items()
                if site in ACTIVATION_SITES and site != "gate" and value is not None
            }
        )
        self._calibrated = state_bits is None and len(self.quantizers) == 0

    # --- calibration

    @property
    def calibrated(self) -> bool:
        """Whether the steps of states and the scales of activations are chosen."""
        return self._calibrated

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._calibrated = self.state_bits is None or bool(torch.isfinite(self.state_step).all())

    @torch.no_grad()
    def calibrate(self, u: Tensor) -> None:
        """Choose the steps of the states and the scales of activations for these inputs.

        Parameters
        ----------
        u
            As of :meth:`forward`. The states are those without rounding; a step is the
            smallest power of two with which none of them saturates.
        """
        u = self._prepared(u)
        if self.state_bits is not None:
            ar, ai, _, _, _ = self._coefficients(with_steps=False)
            peaks = torch.empty(ar.shape)
            zero = torch.zeros_like(ar).numpy()
            scan_of = _core.Scan(
                u.detach().numpy(), ar.numpy(), ai.numpy(), None, zero, zero, None, 0.0, "nearest",
                None, None, None, 0, BLOCK,
            )
            scan_of.peaks(peaks.numpy(), torch.get_num_threads())
            steps = peaks.clamp_min(_LEAST_PEAK) / self.state_limit
            self.state_step.copy_(torch.exp2(torch.ceil(torch.log2(steps))))
        self._calibrated = True
        for quantizer in self.quantizers.values():
            quantizer.measured = False
        if len(self.quantizers) > 0:
            self._pointwise(self._recurrence(u, None)[0])

    # --- forward

    def _prepared(self, u: Tensor) -> Tensor:
        """The input as float32 [batch, d_model, length]."""
        require_cpu(u, "u")
        require_float32(self.D)
        if u.dim() != 3:
            raise Error(f"u has {u.dim()} dimensions, expected 3")
        if not self.transposed:
            u = u.transpose(-1, -2)
        if u.shape[1] != self.h:
            raise Error(f"u has {u.shape[1]} channels, expected d_model = {self.h}")
        return u.to(torch.float32)

    def _noisy(self) -> bool:
        return self.training and self.device_noise > 0

    def _coefficients(
        self, with_steps: bool = True
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Parts of poles and output weights, and D, as the recurrence uses them."""
        a, c = self.kernel()
        ar, ai = a.real.to(torch.float32).contiguous(), a.imag.to(torch.float32).contiguous()
        if self.bits["a"] is not None:
            re, im = fake_poles(ar.detach(), ai.detach(), self.bits["a"], self.pole_coding)
            ar, ai = _straight_through(ar, re), _straight_through(ai, im)
        if self.state_bits is not None and with_steps:
            c = c * self.state_step
        weights = torch.stack((c.real, c.imag), -1).to(torch.float32)
        d = self.D.to(torch.float32)
        weights = self._rounded("c", weights, True)
        d = self._rounded("d", d.unsqueeze(-1), False).squeeze(-1)
        if self._noisy():
            ar, ai = 1 + _noise(ar - 1, self.device_noise), _noise(ai, self.device_noise)
            # A pole with noise may leave the unit circle, where gradients grow without bound.
            size = torch.clamp(torch.hypot(ar, ai), min=1.0)
            ar, ai = ar / size, ai / size
            weights, d = _noise(weights, self.device_noise), _noise(d, self.device_noise)
        cr, ci = weights.unbind(-1)
        return ar.contiguous(), ai.contiguous(), cr.contiguous(), ci.contiguous(), d

    def _rounded(self, site: str, values: Tensor, per_row: bool) -> Tensor:
        bits = self.bits[site]
        if bits is None:
            return values
        return _straight_through(values, fake_weights(values.detach(), bits, per_row))

    def _residues(self, ar: Tensor, ai: Tensor) -> Tensor:
        """Residue bits of every mode."""
        most = self.residue_bits
        if self.residue == "uniform":
            return torch.full(ar.shape, most, dtype=torch.uint8)
        gap = 1 - torch.hypot(ar.detach().double(), ai.detach().double())
        wanted = torch.ceil(-torch.log2(gap.clamp_min(2.0**-_core.most_residue_bits)))
        return (wanted + self.residue_margin).clamp(0, most).to(torch.uint8)

    def _recurrence(self, u: Tensor, state: State | None) -> tuple[Tensor, State]:
        ar, ai, cr, ci, d = self._coefficients()
        gain = residues = seeds = None
        if self.state_bits is not None:
            gain = 1 / self.state_step
            if self.rounding == "noise-shaped":
                residues = self._residues(ar, ai)
            elif self.rounding == "stochastic":
                seeds = (
                    torch.randint(-(2**31), 2**31, (u.shape[0],), dtype=torch.int32)
                    if self.training
                    else seeds_of(None, u.shape[0])
                )
        first = 0 if state is None else state.steps
        y, end = scan(
            u, ar, ai, gain, cr, ci, d, None if state is None else state.values,
            limit=self.state_limit, rounding=self.rounding, residue_bits=residues, seeds=seeds,
            first_step=first,
        )
        return y, State(end, first + u.shape[2])

    def _quantized(self, site: str, *values: Tensor) -> tuple[Tensor, ...]:
        """The values, which share a scale, at the steps of the site."""
        if self.bits[site] is None:
            return values
        quantizer = self.quantizers[site]
        if not quantizer.measured:
            quantizer.measure(torch.stack([end for x in values for end in torch.aminmax(x)]))
        return tuple(quantizer(x) for x in values)

    def _linear_weights(self) -> tuple[Tensor, Tensor]:
        """Weights [2 d_model, d_model] and bias of the linear layer, as they are used."""
        linear = self.output_linear[0]
        weight, bias = linear.weight.squeeze(-1), linear.bias
        if self.bits["weight"] is not None:
            if self.bits["activation"] is None or isinstance(self.output_norm, nn.BatchNorm1d):
                weight = self._rounded("weight", weight, True)
            else:
                # The bias is added to sums of products of codes.
                scale = self.quantizers["activation"].scale
                values = fake_linear(
                    weight.detach(), bias.detach(), self.bits["weight"], True, scale.detach()
                )
                weight = _straight_through(weight, values[0])
                bias = _straight_through(bias, values[1])
        if self._noisy():
            weight = _noise(weight, self.device_noise)
        return weight, bias

    def _pointwise(self, y: Tensor) -> Tensor:
        """GELU, linear layer and gate, with the values in memory as those of y."""
        y = self.activation(*self._quantized("ssm_output", y))
        (y,) = self._quantized("activation", self.dropout(y))
        weight, bias = self._linear_weights()
        if not steps_together(y):
            each = weight.expand(len(y), -1, -1)
            z = self.output_norm(torch.baddbmm(bias.unsqueeze(-1), each, y))
            return self._gated(*z.chunk(2, dim=1))
        y = y.transpose(1, 2)
        if isinstance(self.output_norm, nn.BatchNorm1d):
            z = F.linear(y, weight, bias)
            z = self.output_norm(z.flatten(0, 1)).view_as(z)
            return self._gated(*z.chunk(2, dim=2)).transpose(1, 2)
        if self.h >= 32 and self.bits["linear"] is None and self.bits["gate"] is None:
            return F.glu(F.linear(y, weight, bias), -1).transpose(1, 2)
        # Values and gates apart, so that each is a block of memory: quicker with few channels.
        parts = [F.linear(y, *pair) for pair in zip(weight.chunk(2), bias.chunk(2))]
        return self._gated(*parts).transpose(1, 2)

    def _gated(self, value: Tensor, gate: Tensor) -> Tensor:
        value, gate = self._quantized("linear", value, gate)
        gate = torch.sigmoid(gate)
        bits = self.bits["gate"]
        if bits is not None:
            # Gates lie in [0, 1]: unsigned codes in steps of 2^-bits.
            levels = 2.0**bits
            codes = torch.clamp(torch.floor(gate * levels + 0.5), max=levels - 1)
            gate = _straight_through(gate, codes / levels)
        return value * gate

    def forward(self, u: Tensor, state: State | None = None, **kwargs: Any) -> Any:
        """Run whole sequences, or further steps of them.

        Parameters
        ----------
        u : Tensor [batch, d_model, length], or [batch, length, d_model] if not ``transposed``
        state : State, optional
            Continue from here, and return the state after the last step.
        **kwargs
            Ignored, as by the layer of state-spaces/s4.

        Returns
        -------
        y : Tensor, shaped like u
        state : State, or None without an initial one

        Raises
        ------
        Error
            For another shape or device, and in evaluation before the formats are calibrated.
        """
        with torch.autocast("cpu", enabled=False):
            x = self._prepared(u)
            if not self._calibrated:
                if not self.training:
                    raise Error(
                        "the formats are not calibrated, expected a training step, calibrate(u), "
                        "or a state_dict that has them"
                    )
                self.calibrate(u)
            y, end = self._recurrence(x, state)
            y = self._pointwise(y)
        if not self.transposed:
            y = y.transpose(-1, -2)
        return y, None if state is None else end

    def default_state(self, batch: int) -> State:
        """The state before the first step of `batch` sequences."""
        parts = 4 if self.rounding == "noise-shaped" else 2
        return State(torch.zeros(batch, self.h, self.n // 2, parts), 0)

    def step(self, u: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step; agrees with :meth:`forward` on the whole sequence.

        Parameters
        ----------
        u : Tensor [batch, d_model]
        state : State, optional
            Of the step before; None: the start.

        Returns
        -------
        y : Tensor [batch, d_model]
        state : State
        """
        if state is None:
            state = self.default_state(u.shape[0])
        x = u.unsqueeze(-1 if self.transposed else 1)
        y, end = self.forward(x, state)
        return y.squeeze(-1 if self.transposed else 1), end

    def extra_repr(self) -> str:
        formats = {
            "state_bits": self.state_bits,
            "residue_bits": self.residue_bits or None,
            **{f"{site}_bits": value for site, value in self.bits.items()},
            "device_noise": self.device_noise or None,
        }
        chosen = [f"{name}={value}" for name, value in formats.items() if value is not None]
        return ", ".join([f"{self.h}", f"{self.n}", *chosen])
