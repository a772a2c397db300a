"""S4D layers with a rounded state in PyTorch, and networks that go both ways.

    from crosstate.torch import S4D, from_torch

    layer = S4D(d_model=64, d_state=64, state_bits=8, residue_bits=4)
    y, _ = layer(u)                      # [batch, d_model, length]
    deployed = from_torch(network)       # a crosstate.Model: quantize, simulate, export

The recurrence is that of the library (``crosstate/kernels/scan.h``): forward and adjoint without a
loop over time in Python, on tensors of the CPU.
"""

from .. import _core
from ._block import S4DBlock, S4DBlocks
from ._convert import S4DNetwork, from_torch, to_torch
from ._layer import S4D, ActivationQuantizer, S4DKernel, State
from ._scan import rounded_scan
from ._training import batches, parameter_groups, schedule, training_order

_core.keep_freed_memory()

__all__ = [
    "S4D",
    "S4DBlock",
    "S4DBlocks",
    "ActivationQuantizer",
    "S4DKernel",
    "S4DNetwork",
    "State",
    "batches",
    "from_torch",
    "parameter_groups",
    "rounded_scan",
    "schedule",
    "to_torch",
    "training_order",
]
