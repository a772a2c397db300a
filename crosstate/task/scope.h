// Scope of the outputs of a network: sequence or step.
#pragma once

#include <array>

#include "crosstate/base/named.h"

namespace crosstate::task {

/// The outputs of a network are read once, at the end of a sequence, or after every time step;
/// there are as many targets. The setting is model.readout.
enum class Scope { kSequence, kStep };
constexpr auto enum_names(Scope) {
  return std::array{Named{"sequence", Scope::kSequence}, Named{"step", Scope::kStep}};
}

}  // namespace crosstate::task
