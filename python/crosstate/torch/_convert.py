"""Whole networks between PyTorch and the library."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
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
from ._layer import S4D

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

    def fold_norm(self, at: str, layer: Arrays) -> None:
        """Fold the batch norm behind a linear layer, if there is one, into it."""
        if at + "running_var" not in self.left:
            return
        self.take(at + "num_batches_tracked")
        scale = self.need(at + "weight") / np.sqrt(self.need(at + "running_var") + 1e-5)
        shift = self.need(at + "bias") - scale * self.need(at + "running_mean")
        layer["linear.weight"] = scale[:, np.newaxis] * layer["linear.weight"]
        layer["linear.bias"] = scale * layer["linear.bias"] + shift

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
            self.fold_norm(root + "output_norm.", one)
            if one["linear.weight"].shape != (2 * H, H):
                raise Error(
                    f"{self.where}: '{root}output_linear.0.weight' has shape "
                    f"{list(weight.shape)}, expected {[2 * H, H]} (GLU)"
                )
            layers.append(one)
        if not layers:
            raise Error(f"{self.where}: no tensor ends in 'kernel.C', expected layers of S4D")
        return layers


def from_torch(
    source: Source,
    *,
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
        LayerNorm (or all without one), and a decoder (Linear). A .pt file is read without
        executing anything in it.
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
        A float network: quantize it, simulate it, write it with ``save``.

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
            if isinstance(one, nn.LayerNorm) and one.eps != 1e-5:
                raise Error(f"LayerNorm has eps = {one.eps}, expected 1e-05")
        arrays = _arrays_of(source.state_dict(), where)
    elif isinstance(source, Mapping):
        where = "the state_dict"
        arrays = _arrays_of(source, where)
    else:
        where = os.fspath(source)
        arrays = _read(where)
    # State and scales of fake quantization; here formats are chosen by quantize().
    formats = re.compile(r"(^|\.)(state_step|quantizers\..*)$")
    arrays = {name: value for name, value in arrays.items() if not formats.search(name)}

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
        "norm": "layer" if norms else "none",
        "pooling": pooling,
        "readout": "step" if every_step else "sequence",
    }
    names = [str(i) for i in range(outputs)] if classes is None else [str(c) for c in classes]
    if len(names) != outputs:
        raise Error(f"{len(names)} classes, but the network has {outputs} outputs")
    metadata = {
        "format": "crosstate network 2",
        "network": json.dumps({"model": options, "task": {"inputs": inputs, "classes": outputs}}),
        "quantized": "false",
        "classes": json.dumps(names),
        "permutation_seed": "0",
    }
    if every_step:
        metadata["readout"] = "step"
    return Model._of(_core.Model.from_bytes(format_(tensors, metadata), where))


# --- networks of the library


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
        Arguments of :class:`S4D`: ``d_state``, ``state_bits``, ...
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
        self.encoder = nn.Linear(d_input, d_model)
        self.s4_layers = nn.ModuleList(
            S4D(d_model, dropout=dropout, transposed=True, **layer) for _ in range(n_layers)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(d_model) if norm == "layer" else nn.Identity() for _ in range(n_layers)
        )
        self.dropouts = nn.ModuleList(nn.Dropout1d(dropout) for _ in range(n_layers))
        self.decoder = nn.Linear(d_model, d_output)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [batch, d_output], or of every step, of sequences [batch, length, d_input]."""
        h = self.encoder(x).transpose(-1, -2)
        for layer, norm, dropout in zip(self.s4_layers, self.norms, self.dropouts):
            z, _ = layer(h)
            h = norm((h + dropout(z)).transpose(-1, -2)).transpose(-1, -2)
        h = h.transpose(-1, -2)
        if not self.every_step:
            h = h.mean(dim=1) if self.pooling == "mean" else h[:, -1]
        outputs: Tensor = self.decoder(h)
        return outputs


def to_torch(model: Model, **layer: Any) -> S4DNetwork:
    """The network of a model as a module that can be trained in PyTorch.

    Parameters
    ----------
    model : Model
        With complex modes, GELU and the sigmoid gate; a batch norm is folded into the linear layer.
        Of a quantized network, the values of its parameters without rounding.
    **layer
        Further arguments of :class:`S4D`, as ``state_bits=8``.

    Raises
    ------
    Error
        Naming the option that the module does not have; for an integer network, and for pruned
        blocks.
    """
    core = model._fitted()
    if model.integer:
        raise Error("to_torch: an integer network has no parameters to train")
    arrays, metadata = parse(core.folded().to_bytes(), "the model")
    options = json.loads(metadata["network"])["model"]
    wanted = {"modes": "complex", "activation": "gelu", "gate": "sigmoid"}
    for key, value in wanted.items():
        if options[key] != value:
            raise Error(f'to_torch: model.{key} = "{options[key]}", expected "{value}"')
    pruned = sorted(name for name in arrays if re.search(r"layers\.\d+\.(modes|channels)$", name))
    if pruned:
        raise Error(f"to_torch: pruned blocks ({', '.join(pruned)}), expected whole ones")
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
        if options["norm"] == "layer":
            state[f"norms.{i}.weight"] = arrays[at + "norm.gamma"]
            state[f"norms.{i}.bias"] = arrays[at + "norm.beta"]
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in state.items()}
    result = module.load_state_dict(tensors, strict=False)
    # Steps and scales of the formats are chosen in training.
    assert all(re.search(r"state_step|quantizers", name) for name in result.missing_keys)
    return module
