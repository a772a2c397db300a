#include "crosstate/model/options.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::model {

void fields(FieldList& list, ModelOptions& options) {
  list.section("model");
  list.add(
          "channels", options.channels,
          "Number of channels of every layer (model width); the first value to raise for accuracy.")
      .range(1, 4096);
  list.add("states", options.states,
           "States (real numbers) per channel; raise for long-range or multi-scale dependencies.")
      .range(1, 4096);
  list.add("layers", options.layers,
           "Number of layers (blocks); raise if more channels no longer help.")
      .range(1, 64);
  list.add(
      "modes", options.modes,
      "complex modes oscillate and count as two states; real modes only decay, for small arrays.");
  list.add(
      "init", options.init,
      "Initialisation of A: lin for most data, inv or legs for slow signals, real for real modes.");
  list.add("discretization", options.discretization,
           "Discretisation: zoh (zero-order hold), or bilinear for comparison with filters "
           "designed that way.");
  list.add("dt_min", options.dt_min,
           "Smallest initial step size; lower it for sequences much longer than 1 / dt_min.")
      .range(1e-6, 10);
  list.add("decay", options.decay,
           "Initial decay rate of lin, inv and legs; raise it if slow quantized states would stop "
           "changing (see quant.state).")
      .range(1e-3, 1e3);
  list.add("dt_max", options.dt_max,
           "Largest initial step size; raise it for signals that change fast.")
      .range(1e-6, 10);
  list.add("train_b", options.train_b, "Train B as well as C.");
  list.add("activation", options.activation,
           "Activation function after the recurrence; hard-gelu and relu need no table in the "
           "integer network.");
  list.add("gate", options.gate,
           "Gate of the pointwise layer; hard-sigmoid needs no table, none halves the layer.");
  list.add(
      "norm", options.norm,
      "Norm: batch is folded into the preceding layer; layer trains well but remains at run time.");
  list.add("pooling", options.pooling, "Read-out: mean over time, or the last step.");
  list.add("readout", options.readout,
           "sequence: one output and one target per sequence; step: one per time step, without "
           "pooling.");
  list.add("dropout", options.dropout,
           "Share of activations dropped in training; raise it against overfitting.")
      .range(0, 0.95);
  list.add("block_length", options.block_length,
           "Number of steps that the adjoint recomputes at once; affects only speed and memory.")
      .in("steps")
      .range(1, 65536);
}

kernels::Activation gate_of(Gate gate) {
  switch (gate) {
    case Gate::kSigmoid:
      return kernels::Activation::kSigmoid;
    case Gate::kHardSigmoid:
      return kernels::Activation::kHardSigmoid;
    case Gate::kNone:
      break;
  }
  return kernels::Activation::kIdentity;
}

void validate(const ModelOptions& options) {
  ModelOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");

  if (options.modes == ModeKind::kComplex && options.states % 2 != 0) {
    fail("options", "model.states = " + std::to_string(options.states) +
                        ", expected an even number: a complex mode has two states");
  }
  // The other initialisations differ only in their frequencies, which real modes do not have.
  if (options.modes == ModeKind::kReal && options.init != PoleStart::kReal) {
    fail("options", "model.init = \"" + name_of(options.init) +
                        "\", expected \"real\" with model.modes = \"real\"");
  }
  if (options.dt_min > options.dt_max) {
    fail("options", "model.dt_min = " + exact_text(options.dt_min) +
                        ", expected at most model.dt_max = " + exact_text(options.dt_max));
  }
}

}  // namespace crosstate::model
