// A small task for tests of training.
#pragma once

#include <cstdint>
#include <string>

#include "crosstate/base/random.h"
#include "crosstate/data/dataset.h"

namespace crosstate::train::reference {

/// Sequences of 12 steps: noise around a level that depends on the class, one of three.
inline data::Dataset level_set(const std::string& name, std::size_t count, std::uint64_t seed) {
  data::Dataset set;
  set.name = name;
  set.count = count;
  set.length = 12;
  set.readout.names = {"low", "middle", "high"};
  Random random(seed, Stream::kTest);
  for (std::size_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(i % 3);
    set.targets.push_back(static_cast<float>(label));
    for (std::size_t t = 0; t < set.length; ++t) {
      set.values.push_back(static_cast<float>(label - 1 + 0.7 * random.normal()));
    }
  }
  return set;
}

}  // namespace crosstate::train::reference
