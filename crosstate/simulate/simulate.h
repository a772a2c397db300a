// Accuracy of a network over many simulated crossbar chips.
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

namespace crosstate::hardware {
class Backend;
}  // namespace crosstate::hardware
namespace crosstate::inference {
class Model;
}  // namespace crosstate::inference

namespace crosstate::simulate {

/// Results of all chips at one age.
struct AgeSummary {
  double seconds = 0;          // since programming
  std::vector<double> metric;  // primary metric of the task, by chip
  double mean = 0;
  double deviation = 0;  // standard deviation over the chips; 0 for one chip
  double worst = 0;
  std::vector<double> sums;  // over all chips, see Task::sums()
};

struct SimulateSummary {
  task::Readout readout;         // kind of the outputs
  std::vector<AgeSummary> ages;  // one per age in the options
  std::size_t arrays = 0;
  double utilisation = 0;  // pairs that hold a weight relative to all pairs
  std::size_t conversions_per_step = 0;
  std::size_t conversions_per_sequence = 0;  // additional ones at its end
  device::ProgrammingSummary programming;    // of all simulated chips
  double seconds = 0;                        // wall time
  bool external = false;                     // on a real chip
  bool interrupted = false;

  const AgeSummary& first() const { return ages.front(); }
};

/// Callbacks during a simulation.
struct SimulateContext {
  using Sums = std::vector<double>;
  /// Called by all threads before every group of 16 sequences. If it returns true, the returned
  /// summary is incomplete (`interrupted`).
  std::function<bool()> stop = {};
  /// Returns Task::sums() of a chip at an age that are already known.
  std::function<std::optional<Sums>(int chip, std::size_t age)> known = {};
  /// Receives all others as they are computed.
  std::function<void(int chip, std::size_t age, const Sums& sums)> finished = {};
  /// The same for chunks, the sequences [first, last) of those tested.
  std::function<std::optional<Sums>(int chip, std::size_t age, std::size_t first, std::size_t last)>
      known_chunk = {};
  std::function<void(int chip, std::size_t age, std::size_t first, std::size_t last,
                     const Sums& sums)>
      finished_chunk = {};
  /// A chip of the caller, which is used as the one of target.external would be.
  hardware::Backend* chip = nullptr;
};

/// Throws Error for options that chips of a target do not support: more than one external chip, a
/// driver that is a file but not a program, and, for simulated chips, an age that device.model does
/// not describe.
void require_possible(const crossbar::Target& target, const SimulateOptions& options);
/// The last of these checks for the first age only.
void require_first_age(const crossbar::Target& target, const SimulateOptions& options);

/// Programs chips and, for each, runs the data set at every age. All results except `seconds`
/// depend only on the arguments, not on the number of threads. Throws Error for an empty data set,
/// for one that does not fit the network, and for a network that cannot be mapped.
///
/// With target.external the only chip is a real one. It is started if there is work left, and its
/// answers determine the results. Throws Error as ExternalChip does.
SimulateSummary simulate(const integer::IntegerNetwork& network, const data::Dataset& data,
                         const crossbar::Target& target, const SimulateOptions& options,
                         std::uint64_t seed, ThreadPool& pool, const SimulateContext& context = {});

/// The same for a saved model with an integer network.
SimulateSummary simulate(const inference::Model& model, const crossbar::Target& target,
                         const data::Dataset& data, ThreadPool& pool,
                         const SimulateOptions& options = {}, std::uint64_t seed = 1,
                         const SimulateContext& context = {});

/// Errors of the states on one chip relative to those of the integer network, over some sequences.
struct StateErrors {
  /// Modes with |A| in [low, high).
  struct Group {
    double low = 0, high = 0;
    std::size_t modes = 0;
    std::vector<double> rms;  // by time step, relative to the largest code
  };
  std::vector<Group> groups;
};
StateErrors state_errors(const integer::IntegerNetwork& network, const data::Dataset& data,
                         const crossbar::Target& target, std::uint64_t seed, double age,
                         std::size_t sequences);

}  // namespace crosstate::simulate
