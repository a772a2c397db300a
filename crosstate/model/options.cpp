#include "crosstate/model/options.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::model {

void fields(FieldList& list, ModelOptions& options) {
  list.section("model");
  list.add("channels", options.channels,
           "Width of every layer; the first thing to raise for accuracy.")
      .range(1, 4096);
  list.add("states", options.states,
           "Real numbers of memory per channel; raise for long or many-scaled dependencies.")
      .range(1, 4096);
  list.add("layers", options.layers, "Blocks in a row; raise when width alone no longer helps.")
      .range(1, 64);
  list.add("modes", options.modes,
           "complex modes oscillate and count as two states; real ones only decay, for small "
           "arrays.");
  list.add("init", options.init,
           "Start of A: lin for most data, inv or legs for slow signals, real for real modes.");
  list.add("discretization", options.discretization,
           "zoh holds the input over a step; bilinear for comparison with filters made that way.");
  list.add("dt_min", options.dt_min,
           "Smallest initial step; lower for sequences much longer than 1 / dt_min.")
      .range(1e-6, 10);
  list.add("decay", options.decay,
           "Initial decay rate of lin, inv and legs; raise where a rounded state must not stand "
           "still.")
      .range(1e-3, 1e3);
  list.add("dt_max", options.dt_max, "Largest initial step; raise for signals that change fast.")
      .range(1e-6, 10);
  list.add("train_b", options.train_b, "Train B too instead of leaving its role to C.");
  list.add("activation", options.activation,
           "After the recurrence; hard-gelu and relu need no table at run time.");
  list.add("gate", options.gate,
           "Gate of the pointwise layer; hard-sigmoid needs no table, none halves that layer.");
  list.add("norm", options.norm,
           "batch folds into the layer before it; layer trains well but stays at run time.");
  list.add("pooling", options.pooling,
           "What the decoder sees: the mean over time, or the last step when the end decides.");
  list.add("readout", options.readout,
           "sequence: one result and one target for a whole sequence; step: for every time step, "
           "without pooling.");
  list.add("dropout", options.dropout, "Share of dropped activations; raise against overfitting.")
      .range(0, 0.95);
  list.add("block_length", options.block_length,
           "Steps that the adjoint recomputes at once; only speed and memory depend on it.")
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
                        ", expected an even number: a complex mode is two states");
  }
  // The other starts differ in their frequencies alone, which real modes lack.
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
