// Accuracy of a network on crossbar chips, by drawing chips.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/crossbar/options.h"
#include "crosstate/data/dataset.h"
#include "crosstate/device/options.h"
#include "crosstate/model/network.h"
#include "crosstate/simulate/options.h"

namespace crosstate {

struct SimulateSummary {
  std::vector<double> accuracy;  // by chip, in [0, 1]
  double mean = 0;
  double deviation = 0;  // of the sample of chips; 0 for one chip
  double worst = 0;
  std::size_t arrays = 0;
  double utilisation = 0;  // pairs that hold a weight over all pairs
  std::size_t conversions_per_step = 0;
  std::size_t conversions_per_sequence = 0;  // on top, at its end
  double seconds = 0;                        // wall time
  bool interrupted = false;
};

/// Programs `chips` chips and runs the data set on each. All but `seconds` depends on the arguments
/// alone, not on the number of threads. Throws Error for an empty data set, for one that the
/// network was not made for, and for a network that cannot be mapped. `stop` is asked before every
/// 1,024 sequences of a chip; once it says so, the summary comes back incomplete, `interrupted`.
SimulateSummary simulate(const Network& network, const Dataset& data, const DeviceOptions& device,
                         const CrossbarOptions& crossbar, int chips, std::uint64_t seed,
                         ThreadPool& pool, const std::function<bool()>& stop = nullptr);

}  // namespace crosstate
