"""Whole networks between PyTorch and the library."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt
import torch
import torch.nn as nn
from torch import Tensor

from .. import _core
from .._core import Error
from .._model import Model
from .._safetensors import Arrays, format_, parse
from ._block import S4DBlock
from ._layer import (
    ACTIVATION_SITES, WEIGHT_SITES, ActivationQuantizer, Bits, S4D, _straight_through, bits_of,
)
from ._scan import fake_linear, fake_weights

#: Arguments of S4D that choose formats.
_FORMATS = {
    "state_bits", "residue_bits", "rounding", "residue", "residue_margin", "weight_bits",
    "pole_bits", "pole_coding", "activation_bits", "device_noise",
}

Source = Union[nn.Module, Mapping[str, Any], str, "os.PathLike[str]"]

# --- files


def _read(path: str) -> Arrays:
    """Tensors of a checkpoint; no code in it is executed."""
    if path.endswith(".safetensors"):
        with open(path, "rb") as file:
            return parse(file.read(), path)[0]
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise Error(
            f"{path}: cannot be read without executing code in it ({str(error).splitlines()[0]}); "
            "save its state_dict alone, torch.save(module.state_dict(), ...)"
        ) from None
    if not isinstance(content, Mapping):
        raise Error(f"{path}: holds {type(content).__name__}, expected a state_dict")
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
    return _arrays_of(content, path)


def _arrays_of(state: Mapping[str, Any], where: str) -> Arrays:
    arrays: Arrays = {}
    for name, value in state.items():
        if isinstance(value, Tensor):
            value = torch.view_as_real(value) if value.is_complex() else value
            value = value.detach().cpu()
            arrays[name] = (value.double() if value.is_floating_point() else value).numpy()
        elif isinstance(value, np.ndarray):
            arrays[name] = value
        else:
            raise Error(f"{where}: '{name}' is {type(value).__name__}, expected a tensor")
    return arrays


# --- S4D of state-spaces/s4


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _positive(values: npt.NDArray[Any], transform: str, what: str) -> npt.NDArray[np.float64]:
    """The value of a parameter under one of the transforms of state-spaces/s4."""
    x = values.astype(np.float64)
    if transform == "exp":
        x = np.exp(x)
    elif transform == "relu":
        x = np.maximum(x, 0) + 1e-4
    elif transform == "sigmoid":
        x = 1 / (1 + np.exp(-x))
    elif transform == "softplus":
        x = np.logaddexp(0, x)
    elif transform != "none":
        raise Error(f'{what} = "{transform}", expected one of none, exp, relu, sigmoid, softplus')
    return x


class _Layers:
    """Takes the tensors of S4D layers out of a checkpoint."""

    def __init__(self, arrays: Arrays, where: str, transforms: dict[str, str]) -> None:
        self.left = dict(arrays)
        self.where = where
        self.transforms = transforms

    def take(self, *names: str) -> npt.NDArray[Any] | None:
        for name in names:
            if name in self.left:
                return self.left.pop(name)
        return None

    def need(self, *names: str) -> npt.NDArray[np.float64]:
        found = self.take(*names)
        if found is None:
            raise Error(f"{self.where}: tensor '{names[0]}' is missing")
        if not np.isfinite(found).all():
            raise Error(f"{self.where}: tensor '{names[0]}' has values that are not finite")
        return found.astype(np.float64)

    def recurrence(self, kernel: str, layer: str) -> Arrays:
        """Continuous parameters in the names of the library."""
        low_rank = self.take(kernel + "P")
        if low_rank is not None:
            raise Error(
                f"{self.where}: '{kernel}P' is the low-rank term of S4 (DPLR), expected a "
                "diagonal kernel (S4D)"
            )
        self.take(kernel + "l_kernel")
        minimal = kernel + "log_A_real" in self.left and kernel + "inv_dt" not in self.left
        C = self.need(kernel + "C")
        if C.ndim == 4:
            if C.shape[0] != 1:
                raise Error(f"{self.where}: '{kernel}C' has {C.shape[0]} channels, expected 1")
            C = C[0]
        if C.ndim != 3 or C.shape[-1] != 2:
            raise Error(
                f"{self.where}: '{kernel}C' has shape {list(C.shape)}, expected complex modes "
                "[channels, modes, 2] (real kernels are not supported)"
            )
        c = C[..., 0] + 1j * C[..., 1]
        H, N = c.shape

        def of_modes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            if values.ndim == 3:
                values = values[0]
            if values.ndim != 2 or H % values.shape[0] or values.shape[1] not in (1, N):
                raise Error(
                    f"{self.where}: a parameter of '{kernel}' has shape {list(values.shape)}, "
                    f"expected [{H}, {N}]"
                )
            return np.broadcast_to(np.tile(values, (H // values.shape[0], 1)), (H, N))

        real = self.need(kernel + "log_A_real", kernel + "A_real", kernel + "inv_A_real")
        imaginary = self.need(kernel + "A_imag", kernel + "inv_A_imag")
        dt = self.need(kernel + "log_dt", kernel + "inv_dt")
        if minimal:
            decay, frequency, dt = np.exp(real), imaginary, np.exp(dt)
        else:
            decay = _positive(real, self.transforms["real"], "real_transform")
            frequency = _positive(imaginary, self.transforms["imag"], "imag_transform")
            dt = _positive(dt, self.transforms["dt"], "dt_transform")
            # The kernel has the pole with the negative frequency; its conjugate has the same output.
            c = c.conj()
        decay, frequency = of_modes(decay), of_modes(frequency)
        B = self.take(kernel + "B")
        if B is not None:
            b = of_modes(B[..., 0]) + 1j * of_modes(B[..., 1])
            c = c * (b if minimal else b.conj())
        # A pole depends on dt A, and the gain of its input is dt times a function of dt A: a
        # step size of a mode is the same as one of the channel with a pole and C in proportion.
        steps = of_modes(dt.reshape(H, -1))
        common = steps[:, :1]
        ratio = steps / common
        D = self.need(layer + "D")
        return {
            "log_dt": np.log(common[:, 0]),
            "log_a": np.log(decay * ratio),
            "w": frequency * ratio,
            "C": np.stack([(c * ratio).real, (c * ratio).imag], -1),
            "D": D.reshape(-1),
        }

    def take_norm(self, at: str, layer: Arrays) -> None:
        """The batch norm behind a linear layer, if there is one."""
        if at + "running_var" not in self.left:
            return
        self.take(at + "num_batches_tracked")
        layer["norm.gamma"] = self.need(at + "weight")
        layer["norm.beta"] = self.need(at + "bias")
        layer["norm.mean"] = self.need(at + "running_mean")
        layer["norm.variance"] = self.need(at + "running_var")

    def all(self) -> list[Arrays]:
        suffix = re.compile(r"^(.*?)(kernel\.(?:kernel\.)?)C$")
        found = [match for match in map(suffix.match, self.left) if match]
        layers = []
        for match in sorted(found, key=lambda one: _natural(one.group(0))):
            inner, kernel = match.group(1), match.group(1) + match.group(2)
            root = inner
            if f"{root}output_linear.0.weight" not in self.left:
                root = re.sub(r"layer\.$", "", inner)
            one = self.recurrence(kernel, inner)
            weight = self.need(root + "output_linear.0.weight")
            H = one["D"].size
            one["linear.weight"] = weight.reshape(weight.shape[0], -1)
            one["linear.bias"] = self.need(root + "output_linear.0.bias")
            self.take_norm(root + "output_norm.", one)
            if one["linear.weight"].shape != (2 * H, H):
                raise Error(
                    f"{self.where}: '{root}output_linear.0.weight' has shape "
                    f"{list(weight.shape)}, expected {[2 * H, H]} (GLU)"
                )
            layers.append(one)
        if not layers:
            raise Error(f"{self.where}: no tensor ends in 'kernel.C', expected layers of S4D")
        return layers


# --- blocks as one module


def _unfused(arrays: Arrays) -> Arrays:
    """Tensors of S4DBlock under the names of the minimal S4D and a LayerNorm."""
    names = {
        "C": "kernel.C", "B": "kernel.B", "log_dt": "kernel.log_dt", "log_a": "kernel.log_A_real",
        "w": "kernel.A_imag", "linear_weight": "output_linear.0.weight",
        "linear_bias": "output_linear.0.bias", "norm_gamma": "norm.weight", "norm_beta": "norm.bias",
    }
    found = dict(arrays)
    for name in arrays:
        at = name.removesuffix("log_a")
        if at == name or at + "linear_weight" not in arrays:
            continue
        for old, new in names.items():
            if at + old in found:
                found[at + new] = found.pop(at + old)
        for other in list(found):
            if other.startswith((at + "range_", at + "scale_")) or other == at + "_extra_state":
                del found[other]
    return found


def _fused_options(module: nn.Module) -> dict[str, Any]:
    """Options of the blocks of a network that S4D does not have."""
    options: list[dict[str, Any]] = []
    for block in module.modules():
        if isinstance(block, S4DBlock):
            found = block.options()
            if found["modes"] != "complex":
                raise Error('S4DBlock with model.modes = "real", expected "complex"')
            kept = ("activation", "gate", "discretization")
            options.append({key: found[key] for key in kept})
    if any(one != options[0] for one in options):
        raise Error("blocks of different options, expected equal ones")
    return options[0] if options else {}


# --- formats


def _formats_of(source: nn.Module) -> tuple[dict[str, Any], Arrays]:
    """Section "quant" of a module, and its ranges in the names of the library."""
    layers = [one for one in source.modules() if isinstance(one, S4D)]
    if not layers or any(isinstance(one, S4DBlock) for one in source.modules()):
        raise Error("formats=True: expected a network of S4D; the ranges of every S4DBlock are its "
                    "own, so quantize the converted network in the same format instead")
    own = source if isinstance(source, S4DNetwork) else None

    def formats(layer: S4D) -> dict[str, Any]:
        bits = {site: {"bits": value or 0} for site, value in layer.bits.items()}
        bits["a"]["coding"] = layer.pole_coding
        state = {
            "bits": layer.state_bits or 0, "residue_bits": layer.residue_bits,
            "rounding": "stochastic" if layer.rounding == "stochastic" else "nearest",
            "residue": layer.residue, "residue_margin": layer.residue_margin,
        }
        return {**bits, "state": state, "weight_noise": layer.device_noise}

    quant = formats(layers[0])
    if any(formats(layer) != quant for layer in layers):
        raise Error("layers of different formats, expected equal ones")
    for site in (*NETWORK_WEIGHTS, *NETWORK_ACTIVATIONS):
        quant[site] = {"bits": 0 if own is None else own.bits[site] or 0}
    quant["preset"] = "float"
    ranges: Arrays = {}
    least: list[float] = []

    def add(name: str, quantizers: nn.ModuleDict, site: str) -> None:
        value, first = 0.0, 0.0
        if site in quantizers:
            quantizer = quantizers[site]
            assert isinstance(quantizer, ActivationQuantizer)
            value, first = float(quantizer.log_scale.detach()), float(quantizer.least)
            quant[site]["learned"] = quantizer.log_scale.requires_grad
            if not quantizer.measured:
                raise Error(f"formats=True: the range of {name} is not calibrated, expected a "
                            "training step, or calibrate(x)")
        ranges["range." + name] = np.array([value])
        least.append(first)

    none = nn.ModuleDict()
    for site in NETWORK_ACTIVATIONS:
        add(site, none if own is None else own.quantizers, site)
    for i, layer in enumerate(layers):
        for site in ACTIVATION_SITES[:3]:
            add(f"layers.{i}.{site}", layer.quantizers, site)
        steps = np.ones((layer.h, layer.n // 2))
        if layer.state_bits is not None:
            steps = layer.state_step.double().numpy()
            if not np.isfinite(steps).all():
                raise Error(f"formats=True: the steps of the states of block {i} are not "
                            "calibrated, expected a training step, or calibrate(x)")
        ranges[f"layers.{i}.state_step"] = steps
    ranges["range.least_codes"] = np.array(least)
    return quant, ranges


def from_torch(
    source: Source,
    *,
    formats: bool = False,
    classes: Sequence[object] | None = None,
    pooling: str = "mean",
    every_step: bool = False,
    discretization: str | None = None,
    dt_transform: str = "exp",
    real_transform: str = "exp",
    imag_transform: str = "none",
) -> Model:
    """A network of S4D blocks as a :class:`crosstate.Model`, with the same float predictions.

    Parameters
    ----------
    source : Module, state_dict, or path of a checkpoint (.safetensors, .pt)
        An encoder (Linear), blocks whose tensors are named as by the minimal S4D or by the full S4D
        kernel of state-spaces/s4 with GELU and GLU, each followed by the residual sum and a
        LayerNorm (or all without one), and a decoder (Linear); or :class:`S4DBlock` between them.
        A .pt file is read without executing anything in it.
    formats : bool
        Whether the model has the formats of a module of :class:`S4D` and their ranges, so that it
        is quantized: its scores (backend "fake") are those of the module, up to values on the edge
        between two codes. Otherwise it is a float network.
    classes : sequence, optional
        Names of the outputs, in sorted order if labels of arrays are to fit (as ``np.unique`` has
        them); None: their numbers.
    pooling : {"mean", "last"}
        What the decoder takes of the time steps; without effect with ``every_step``.
    every_step : bool
        Whether the decoder is applied to every time step.
    discretization : {"zoh", "bilinear"}, optional
        Of the recurrence; None: that of a module of this package, otherwise "zoh".
    dt_transform, real_transform, imag_transform : {"exp", "none", "relu", "sigmoid", "softplus"}
        Options of the full kernel, which a checkpoint does not hold. The minimal one has exp, exp
        and none.

    Returns
    -------
    Model
        A float network (quantized with ``formats``): quantize it, simulate it, write it with
        ``save``.

    Raises
    ------
    Error
        Naming the tensor that is missing, left over or has another shape; for a norm before the
        block; for a low-rank term (S4 rather than S4D).
    """
    where = "the module"
    if isinstance(source, nn.Module):
        if getattr(source, "prenorm", False):
            raise Error("prenorm = True, expected blocks with the norm behind the residual sum")
        rules = {one.kernel.discretization for one in source.modules() if isinstance(one, S4D)}
        if len(rules) > 1:
            raise Error("layers with zoh and with bilinear, expected one discretization")
        if rules and discretization is None:
            discretization = rules.pop()
        for one in source.modules():
            if isinstance(one, (nn.LayerNorm, nn.BatchNorm1d)) and one.eps != 1e-5:
                raise Error(f"{type(one).__name__} has eps = {one.eps}, expected 1e-05")
        arrays = _arrays_of(source.state_dict(), where)
    elif isinstance(source, Mapping):
        where = "the state_dict"
        arrays = _arrays_of(source, where)
    else:
        where = os.fspath(source)
        arrays = _read(where)
    quant: dict[str, Any] = {}
    ranges: Arrays = {}
    if formats:
        if not isinstance(source, nn.Module):
            raise Error(f"formats=True: {where} does not hold them, expected a module")
        quant, ranges = _formats_of(source)
    rounding = re.compile(r"(^|\.)(state_step|quantizers\..*)$")
    arrays = _unfused({name: value for name, value in arrays.items() if not rounding.search(name)})
    fused = _fused_options(source) if isinstance(source, nn.Module) else {}

    transforms = {"dt": dt_transform, "real": real_transform, "imag": imag_transform}
    checkpoint = _Layers(arrays, where, transforms)
    layers = checkpoint.all()
    H, N = layers[0]["w"].shape
    for i, one in enumerate(layers):
        if one["w"].shape != (H, N):
            raise Error(
                f"{where}: block {i} has {list(one['w'].shape)} channels and modes, block 0 has "
                f"{[H, N]}, expected equal ones"
            )

    pairs: dict[int, list[str]] = {1: [], 2: []}
    for name in sorted(checkpoint.left, key=_natural):
        dims = checkpoint.left[name].ndim
        if name.endswith("weight") and dims in pairs:
            pairs[dims].append(name[: -len("weight")])
    matrices, norms = pairs[2], pairs[1]
    if len(matrices) != 2:
        raise Error(
            f"{where}: {len(matrices)} matrices besides the blocks ({', '.join(matrices)}), "
            "expected those of the encoder and of the decoder"
        )
    if any("encoder" in name for name in matrices) or any("decoder" in name for name in matrices):
        matrices.sort(key=lambda name: "decoder" in name or "encoder" not in name)
    elif list(arrays).index(matrices[0] + "weight") > list(arrays).index(matrices[1] + "weight"):
        matrices.reverse()
    if len(norms) not in (0, len(layers)):
        raise Error(
            f"{where}: {len(norms)} norms ({', '.join(norms)}) for {len(layers)} blocks, expected "
            "one LayerNorm behind each block, or none"
        )
    tensors: Arrays = {}
    for name, prefix in zip(("encoder", "decoder"), matrices):
        tensors[f"{name}.weight"] = checkpoint.need(prefix + "weight")
        bias = checkpoint.take(prefix + "bias")
        rows = tensors[f"{name}.weight"].shape[0]
        tensors[f"{name}.bias"] = np.zeros(rows) if bias is None else bias
    inputs, outputs = tensors["encoder.weight"].shape[1], tensors["decoder.weight"].shape[0]
    if tensors["encoder.weight"].shape[0] != H or tensors["decoder.weight"].shape[1] != H:
        raise Error(
            f"{where}: encoder {list(tensors['encoder.weight'].shape)} and decoder "
            f"{list(tensors['decoder.weight'].shape)} do not fit {H} channels"
        )
    batch = [i for i, one in enumerate(layers) if "norm.mean" in one]
    if batch and (norms or len(batch) < len(layers)):
        raise Error(f"{where}: batch norms besides other norms, expected one kind in every block")
    for i, one in enumerate(layers):
        if norms:
            one["norm.gamma"] = checkpoint.need(norms[i] + "weight")
            one["norm.beta"] = checkpoint.need(norms[i] + "bias")
        tensors.update({f"layers.{i}.{name}": value for name, value in one.items()})
    if checkpoint.left:
        raise Error(
            f"{where}: tensors that belong to no part of the network: "
            + ", ".join(sorted(checkpoint.left))
        )

    options = {
        "channels": H,
        "states": 2 * N,
        "layers": len(layers),
        "discretization": discretization or "zoh",
        **fused,
        "norm": "layer" if norms else "batch" if batch else "none",
        "pooling": pooling,
        "readout": "step" if every_step else "sequence",
    }
    names = [str(i) for i in range(outputs)] if classes is None else [str(c) for c in classes]
    if len(names) != outputs:
        raise Error(f"{len(names)} classes, but the network has {outputs} outputs")
    metadata = {
        "format": "crosstate network 2",
        "network": json.dumps({
            "model": options, "task": {"inputs": inputs, "classes": outputs}, "quant": quant,
        }),
        "quantized": "true" if formats else "false",
        "classes": json.dumps(names),
        "permutation_seed": "0",
    }
    if every_step:
        metadata["readout"] = "step"
    core = _core.Model.from_bytes(format_({**tensors, **ranges}, metadata), where)
    # As quantize() and qat() return it: ready to be deployed.
    return Model._of(core.folded() if formats and batch else core)


# --- networks of the library


#: Sites of a network outside of its blocks.
NETWORK_WEIGHTS = ("encoder", "decoder")
NETWORK_ACTIVATIONS = ("input", "residual")


def _split(bits: Bits, own: tuple[str, ...], sites: tuple[str, ...], what: str) -> Any:
    """Bits of sites of the network, and of those of its layers."""
    both = bits_of(bits, (*own, *sites), what)
    of_layers = {site: both[site] for site in sites}
    return {site: both[site] for site in own}, of_layers if isinstance(bits, Mapping) else bits


class S4DNetwork(nn.Module):
    """Encoder, blocks of :class:`S4D` with residual sum and norm, pooling, decoder.

    Tensors are named as by the example of state-spaces/s4 (``encoder``, ``s4_layers``, ``norms``,
    ``decoder``).

    Parameters
    ----------
    d_input, d_output : int
        Channels of the sequences, and outputs.
    d_model, n_layers, dropout
        Channels of every block, blocks, and the dropout of each and of its output.
    norm : {"layer", "batch", "none"}
        "layer": behind the residual sum, as in state-spaces/s4; "batch": within the layer, so that it
        can be folded and the network deployed in integers.
    pooling : {"mean", "last"}
        What the decoder takes of the time steps.
    every_step : bool
        Whether the decoder is applied to every step instead.
    **layer
        Arguments of :class:`S4D`: ``d_state``, ``state_bits``, ... ``weight_bits`` are also those
        of the encoder and the decoder ("encoder", "decoder"), ``activation_bits`` also those of
        the input and of the residual stream ("input", "residual").
    """

    def __init__(
        self,
        d_input: int,
        d_output: int = 10,
        d_model: int = 64,
        n_layers: int = 4,
        dropout: float = 0.0,
        *,
        norm: str = "layer",
        pooling: str = "mean",
        every_step: bool = False,
        **layer: Any,
    ) -> None:
        super().__init__()
        if norm not in ("layer", "batch", "none"):
            raise Error(f'norm = "{norm}", expected one of layer, batch, none')
        if norm == "batch":
            layer["norm"] = "batch"
        if pooling not in ("mean", "last"):
            raise Error(f'pooling = "{pooling}", expected one of mean, last')
        self.pooling = pooling
        self.every_step = every_step
        weights, of_layers = _split(
            layer.pop("weight_bits", None), NETWORK_WEIGHTS, WEIGHT_SITES, "weight_bits"
        )
        activations, values = _split(
            layer.pop("activation_bits", None), NETWORK_ACTIVATIONS, ACTIVATION_SITES,
            "activation_bits",
        )
        layer |= {"weight_bits": of_layers, "activation_bits": values}
        self.bits: dict[str, int | None] = {**weights, **activations}
        self.quantizers = nn.ModuleDict(
            {
                site: ActivationQuantizer(bits, "auto" if site == "input" else "symmetric")
                for site, bits in activations.items()
                if bits is not None
            }
        )
        self.encoder = nn.Linear(d_input, d_model)
        self.s4_layers = nn.ModuleList(
            S4D(d_model, dropout=dropout, transposed=True, **layer) for _ in range(n_layers)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(d_model) if norm == "layer" else nn.Identity() for _ in range(n_layers)
        )
        self.dropouts = nn.ModuleList(nn.Dropout1d(dropout) for _ in range(n_layers))
        self.decoder = nn.Linear(d_model, d_output)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Choose the steps of the states and the scales of activations for these inputs.

        Parameters
        ----------
        x
            As of :meth:`forward`; the formats before a layer are in effect when it is calibrated.
        """
        for quantizer in self.quantizers.values():
            quantizer.measured = False
        if "input" in self.quantizers:
            self.quantizers["input"].measure(x)
        if "residual" in self.quantizers:
            ends = []

            def observe(layer: S4D, h: Tensor) -> None:
                ends.extend(torch.aminmax(h))
                layer.calibrate(h)

            ends.extend(torch.aminmax(self._run(x, observe)))
            self.quantizers["residual"].measure(torch.stack(ends))
        self._run(x, lambda layer, h: layer.calibrate(h))

    def _quantized(self, site: str, x: Tensor) -> Tensor:
        """The values at the steps of the site; during calibration those before its scale exists."""
        if self.bits[site] is None or not self.quantizers[site].measured:
            return x
        quantized: Tensor = self.quantizers[site](x)
        return quantized

    def _linear(self, site: str, linear: nn.Linear, x: Tensor, of: str, per_row: bool) -> Tensor:
        """A linear layer of values of the quantizer `of`, rounded as in deployed networks."""
        weight, bias, bits = linear.weight, linear.bias, self.bits[site]
        if bits is not None:
            if self.bits[of] is None:
                rounded = fake_weights(weight.detach(), bits, per_row)
            else:
                rounded, codes = fake_linear(
                    weight.detach(), bias.detach(), bits, per_row, self.quantizers[of].scale.detach()
                )
                bias = _straight_through(bias, codes)
            weight = _straight_through(weight, rounded)
        return nn.functional.linear(x, weight, bias)

    def _run(self, x: Tensor, before: Callable[[S4D, Tensor], object] | None) -> Tensor:
        x = self._quantized("input", x)
        h = self._linear("encoder", self.encoder, x, "input", False)
        h = self._quantized("residual", h).transpose(-1, -2)
        for layer, norm, dropout in zip(self.s4_layers, self.norms, self.dropouts):
            if before is not None:
                before(layer, h)
            z, _ = layer(h)
            h = norm((h + dropout(z)).transpose(-1, -2))
            h = self._quantized("residual", h).transpose(-1, -2)
        return h.transpose(-1, -2)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [batch, d_output], or of every step, of sequences [batch, length, d_input].

        Raises
        ------
        Error
            In evaluation before the formats are calibrated.
        """
        if not all(one.measured for one in self.quantizers.values()):
            if not self.training:
                raise Error(
                    "the formats are not calibrated, expected a training step, or calibrate(x)"
                )
            self.calibrate(x)
        h = self._run(x, None)
        if not self.every_step:
            h = h.mean(dim=1) if self.pooling == "mean" else h[:, -1]
        return self._linear("decoder", self.decoder, h, "residual", True)


def _formats_for(
    quant: dict[str, Any], arrays: Arrays, layers: int
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Arguments of S4DNetwork for section "quant" of a network, and the ranges of the module."""
    wanted: dict[str, Any] = {
        **{f"{site}.learned": (False,) for site in (*NETWORK_WEIGHTS, *WEIGHT_SITES)},
        **{f"{site}.range": ("auto",) for site in (*NETWORK_WEIGHTS, *WEIGHT_SITES)},
        **{f"{site}.scales": ("free",) for site in (*NETWORK_WEIGHTS, *WEIGHT_SITES)},
        **{f"{site}.granularity": ("channel",) for site in ("c", "weight", "decoder")},
        **{f"{site}.granularity": ("tensor",) for site in ("encoder", "d")},
        **{f"{site}.scales": ("pow2",) for site in (*NETWORK_ACTIVATIONS, *ACTIVATION_SITES[:3])},
    }
    for key, values in wanted.items():
        site, option = key.split(".")
        found = quant[site].get(option, values[0])
        if quant[site]["bits"] > 0 and found not in values:
            raise Error(f"to_torch: quant.{key} = {json.dumps(found)}, expected "
                        f"{' or '.join(json.dumps(value) for value in values)}")

    def bits(site: str) -> int | None:
        return quant[site]["bits"] or None

    def of(sites: tuple[str, ...]) -> dict[str, int | None]:
        return {site: bits(site) for site in sites}

    state = quant["state"]
    layer: dict[str, Any] = {
        "weight_bits": of((*NETWORK_WEIGHTS, *WEIGHT_SITES)), "pole_bits": bits("a"),
        "pole_coding": quant["a"]["coding"],
        "activation_bits": of((*NETWORK_ACTIVATIONS, *ACTIVATION_SITES)),
        "device_noise": quant["weight_noise"],
    }
    if bits("state") is not None:
        layer |= {
            "state_bits": bits("state"), "residue_bits": state["residue_bits"],
            "rounding": state["rounding"], "residue": state["residue"],
            "residue_margin": state["residue_margin"],
        }
    tensors: dict[str, npt.NDArray[Any]] = {}
    names = [("range." + site, f"quantizers.{site}", site) for site in NETWORK_ACTIVATIONS]
    for i in range(layers):
        names += [(f"range.layers.{i}.{site}", f"s4_layers.{i}.quantizers.{site}", site)
                  for site in ACTIVATION_SITES[:3]]
    for (name, to, site), least in zip(names, arrays["range.least_codes"]):
        if bits(site) is not None:
            tensors[to + ".log_scale"] = arrays[name].reshape(())
            tensors[to + ".least"] = np.asarray(least)
    if bits("state") is not None:
        # Steps of states are powers of two times the scale of their input.
        unit = 1.0
        if bits("residual") is not None:
            unit = 2.0 ** round(float(arrays["range.residual"][0]) / math.log(2))
        for i in range(layers):
            least_steps = arrays[f"layers.{i}.state_step"].astype(np.float64)
            exponents = np.clip(np.ceil(np.log2(least_steps / unit)), -16, _core.pole_fraction)
            tensors[f"s4_layers.{i}.state_step"] = unit * 2.0**exponents
    return layer, tensors


def to_torch(
    model: Model, *, inputs: int | None = None, outputs: int | None = None, seed: int = 1,
    **layer: Any,
) -> S4DNetwork:
    """The network of a model as a module that can be trained in PyTorch.

    Parameters
    ----------
    model : Model
        With complex modes, GELU and the sigmoid gate. A quantized network is carried over with its
        formats and ranges, unless ``layer`` has others.
    inputs, outputs, seed : int
        Of a model without a network yet: the module then has the weights with which
        ``model.fit(..., seed=seed)`` begins.
    **layer
        Further arguments of :class:`S4D`, as ``state_bits=8``; formats replace all of the model's.

    Raises
    ------
    Error
        Naming the option that the module does not have; for an integer network, and for pruned
        blocks.
    """
    if not model.fitted:
        if inputs is None or outputs is None:
            raise Error("to_torch: the model has no network yet, expected inputs and outputs, or "
                        "fit() before")
        content = _core.first_network(model._options, inputs, outputs, seed)
    else:
        if inputs is not None or outputs is not None:
            raise Error("to_torch: inputs and outputs are those of the network of the model")
        if model.integer:
            raise Error("to_torch: an integer network has no parameters to train")
        content = model._fitted().to_bytes()
    arrays, metadata = parse(content, "the model")
    network = json.loads(metadata["network"])
    options = network["model"]
    wanted = {"modes": "complex", "activation": "gelu", "gate": "sigmoid"}
    for key, value in wanted.items():
        if options[key] != value:
            raise Error(f'to_torch: model.{key} = "{options[key]}", expected "{value}"')
    pruned = sorted(name for name in arrays if re.search(r"layers\.\d+\.(modes|channels)$", name))
    if pruned:
        raise Error(f"to_torch: pruned blocks ({', '.join(pruned)}), expected whole ones")
    ranges: dict[str, npt.NDArray[Any]] = {}
    carries = metadata["quantized"] == "true" and not set(layer) & _FORMATS
    if carries:
        carried, ranges = _formats_for(network["quant"], arrays, options["layers"])
        layer = {**carried, **layer}
    module = S4DNetwork(
        arrays["encoder.weight"].shape[1],
        arrays["decoder.weight"].shape[0],
        options["channels"],
        options["layers"],
        options["dropout"],
        norm=options["norm"],
        pooling=options["pooling"],
        every_step=options["readout"] == "step",
        d_state=options["states"],
        discretization=options["discretization"],
        **layer,
    )
    state: dict[str, npt.NDArray[Any]] = {
        f"{part}.{name}": arrays[f"{part}.{name}"]
        for part in ("encoder", "decoder")
        for name in ("weight", "bias")
    }
    norms = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    for i in range(options["layers"]):
        at, to = f"layers.{i}.", f"s4_layers.{i}."
        c = arrays[at + "C"].astype(np.float64)
        if at + "B" in arrays:
            product = (c[..., 0] + 1j * c[..., 1]) * (
                arrays[at + "B"][..., 0] + 1j * arrays[at + "B"][..., 1]
            )
            c = np.stack([product.real, product.imag], -1)
        state[to + "D"] = arrays[at + "D"]
        state[to + "kernel.C"] = c
        state[to + "kernel.log_dt"] = arrays[at + "log_dt"]
        state[to + "kernel.log_A_real"] = arrays[at + "log_a"]
        state[to + "kernel.A_imag"] = arrays[at + "w"]
        state[to + "output_linear.0.weight"] = arrays[at + "linear.weight"][..., np.newaxis]
        state[to + "output_linear.0.bias"] = arrays[at + "linear.bias"]
        place = f"norms.{i}." if options["norm"] == "layer" else to + "output_norm."
        for name, new in norms.items():
            if f"{at}norm.{name}" in arrays:
                state[place + new] = arrays[f"{at}norm.{name}"]
    state.update(ranges)
    for name, part in module.named_modules():
        if carries and isinstance(part, ActivationQuantizer):
            learned = network["quant"][name.rpartition(".")[2]]["learned"]
            part.log_scale.requires_grad_(bool(learned))
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in state.items()}
    result = module.load_state_dict(tensors, strict=False)
    # Steps and scales of formats that are not carried are chosen in training.
    others = re.compile(r"num_batches_tracked$" if carries else
                        r"num_batches_tracked$|state_step$|quantizers\.")
    assert all(others.search(name) for name in result.missing_keys)
    return module
