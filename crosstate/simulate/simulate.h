// How well a network does on crossbar chips, by drawing chips.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/crossbar/target.h"
#include "crosstate/data/dataset.h"
#include "crosstate/device/cells.h"
#include "crosstate/integer/network.h"
#include "crosstate/simulate/options.h"

namespace crosstate::inference {
class Model;
}  // namespace crosstate::inference

namespace crosstate::simulate {

/// Chips at one age.
struct AgeSummary {
  double seconds = 0;          // since programming
  std::vector<double> metric;  // the task's primary one, by chip
  double mean = 0;
  double deviation = 0;  // of the sample of chips; 0 for one chip
  double worst = 0;
  std::vector<double> sums;  // of all chips together, see Task::sums()
};

struct SimulateSummary {
  task::Readout readout;         // what the outputs are
  std::vector<AgeSummary> ages;  // as in the options
  std::size_t arrays = 0;
  double utilisation = 0;  // pairs that hold a weight over all pairs
  std::size_t conversions_per_step = 0;
  std::size_t conversions_per_sequence = 0;  // on top, at its end
  device::ProgrammingSummary programming;    // of all simulated chips
  double seconds = 0;                        // wall time
  bool external = false;                     // on a real chip
  bool interrupted = false;

  const AgeSummary& first() const { return ages.front(); }
};

/// What a simulation is told while it runs.
struct SimulateContext {
  using Sums = std::vector<double>;
  /// Asked before every chunk of a chip's sequences, of 1,024, or 16 of an external chip; once it
  /// says so, the summary comes back incomplete, `interrupted`.
  std::function<bool()> stop = {};
  /// Task::sums() of a chip at an age that are known already.
  std::function<std::optional<Sums>(int chip, std::size_t age)> known = {};
  /// Every other one, as it comes.
  std::function<void(int chip, std::size_t age, const Sums& sums)> finished = {};
  /// The same for the chunks, the sequences [first, last) of those tested.
  std::function<std::optional<Sums>(int chip, std::size_t age, std::size_t first, std::size_t last)>
      known_chunk = {};
  std::function<void(int chip, std::size_t age, std::size_t first, std::size_t last,
                     const Sums& sums)>
      finished_chunk = {};
};

/// Throws Error for what chips of a target cannot do: any number of external ones but 1, a driver
/// that is a file but no program, and, for simulated ones, an age at which device.model does not
/// tell what cells are like.
void require_possible(const crossbar::Target& target, const SimulateOptions& options);
/// The last of these for the first age alone.
void require_first_age(const crossbar::Target& target, const SimulateOptions& options);

/// Programs chips, lets each grow older and runs the data set on it at every age. All but `seconds`
/// depends on the arguments alone, not on the number of threads. Throws Error for an empty data
/// set, for one that the network was not made for, and for a network that cannot be mapped.
///
/// With target.external the one chip is a real one, which is started if anything is left to do, and
/// what comes back from it decides the result too. Throws Error as ExternalChip does.
SimulateSummary simulate(const integer::IntegerNetwork& network, const data::Dataset& data,
                         const crossbar::Target& target, const SimulateOptions& options,
                         std::uint64_t seed, ThreadPool& pool, const SimulateContext& context = {});

/// The same of a saved model, in integers.
SimulateSummary simulate(const inference::Model& model, const crossbar::Target& target,
                         const data::Dataset& data, ThreadPool& pool,
                         const SimulateOptions& options = {}, std::uint64_t seed = 1,
                         const SimulateContext& context = {});

/// Errors of the states on one chip against those of the integer network, over some sequences.
struct StateErrors {
  /// Modes whose |A| lies in [low, high).
  struct Group {
    double low = 0, high = 0;
    std::size_t modes = 0;
    std::vector<double> rms;  // by time step, over the largest code
  };
  std::vector<Group> groups;
};
StateErrors state_errors(const integer::IntegerNetwork& network, const data::Dataset& data,
                         const crossbar::Target& target, std::uint64_t seed, double age,
                         std::size_t sequences);

}  // namespace crosstate::simulate
