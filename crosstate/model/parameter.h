// A trained array with its gradient and the rules for its optimisation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crosstate::model {

/// Selects learning rate and weight decay: parameters of the recurrence have a lower rate and no
/// decay; biases, norms and ranges have no decay.
enum class ParameterGroup { kWeight, kNoDecay, kRecurrence, kRange };

struct Parameter {
  std::string name;  // "layers.0.C", as in the checkpoint
  std::vector<std::uint64_t> shape;
  ParameterGroup group = ParameterGroup::kWeight;
  std::vector<float> value;
  std::vector<double> gradient;  // summed over the batch, divided by its size
};

}  // namespace crosstate::model
