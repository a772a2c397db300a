// A trained array with its gradient and the rules that its optimiser follows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crosstate::model {

/// Which learning rate and decay apply: the recurrence's own parameters move slowly and are never
/// decayed, nor are biases, norms and ranges.
enum class ParameterGroup { kWeight, kNoDecay, kRecurrence, kRange };

struct Parameter {
  std::string name;  // "layers.0.C", as in the checkpoint
  std::vector<std::uint64_t> shape;
  ParameterGroup group = ParameterGroup::kWeight;
  std::vector<float> value;
  std::vector<double> gradient;  // summed over the batch, divided by its size
};

}  // namespace crosstate::model
