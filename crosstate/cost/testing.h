// Small networks and array uses for the tests of this folder.
#pragma once

#include "crosstate/cost/energy.h"
#include "crosstate/integer/convert.h"
#include "crosstate/model/testing.h"

namespace crosstate::cost::fixtures {

inline model::ModelOptions shape(int channels, int states, bool complex, bool gated) {
  model::ModelOptions options;
  options.channels = channels;
  options.states = states;
  options.layers = 1;
  options.norm = model::Norm::kNone;
  if (!gated) options.gate = model::Gate::kNone;
  if (!complex) {
    options.modes = model::ModeKind::kReal;
    options.init = model::PoleStart::kReal;
  }
  return options;
}

/// Quantized with a preset, calibrated on noise.
inline model::Network rounded(const model::ModelOptions& options, const model::TaskShape& task,
                              const quant::QuantOptions& quant) {
  model::Network network(options, task, 1);
  const data::Dataset set = model::reference::random_set(1, 16, 10, task, false);
  const data::Batch batch = model::reference::batch_of(set);
  ThreadPool pool(1);
  network.quantize(quant, {&batch, 1}, pool);
  return network;
}

/// A technology of a kind with 1 for every constant.
inline Technology plain_technology(TargetKind kind) {
  Technology t;
  t.name = "plain";
  t.kind = kind;
  t.node = 45;
  for (const ConstantDefinition& c : constants_of(kind)) {
    t.constants[c.name] = {{1, 1, 1}, c.unit, 45, Basis::kAssumed, "a test"};
  }
  if (kind == TargetKind::kCrossbar) {
    t.floats = false;
    t.rows = t.columns = 64;
    t.input_bits = t.output_bits = t.cell_bits = 8;
  }
  return t;
}

/// A full array whose mean |weight| is this share of the largest weight.
inline ArrayUse full_array(const Technology& t, int input_bits, double mean_weight) {
  ArrayUse use;
  use.rows = t.rows;
  use.columns = t.columns;
  use.cells = 2.0 * t.rows * t.columns;
  use.weight = mean_weight * t.rows * t.columns;
  use.input_bits = input_bits;
  return use;
}

}  // namespace crosstate::cost::fixtures
