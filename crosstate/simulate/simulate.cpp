#include "crosstate/simulate/simulate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/chip.h"

namespace crosstate {
namespace {

// Sequences brought into the layout of a batch at a time; a multiple of the lanes.
constexpr std::size_t kChunk = 1024;

void check(const Network& network, const Dataset& data) {
  if (data.count == 0) fail(data.name, "no sequences, expected at least one");
  const auto inputs = static_cast<std::size_t>(network.task().inputs);
  const auto classes = static_cast<std::size_t>(network.task().classes);
  if (data.channels != inputs || data.classes.size() > classes) {
    fail(data.name, std::to_string(data.channels) + " channels and " +
                        std::to_string(data.classes.size()) + " classes, but the network has " +
                        std::to_string(inputs) + " and " + std::to_string(classes));
  }
}

}  // namespace

SimulateSummary simulate(const Network& network, const Dataset& data, const DeviceOptions& device,
                         const CrossbarOptions& crossbar, int chips, std::uint64_t seed,
                         ThreadPool& pool, const std::function<bool()>& stop) {
  const auto begin = std::chrono::steady_clock::now();
  validate(SimulateOptions{.chips = chips});
  validate(device);
  check(network, data);
  const Mapping mapping = map_network(network, crossbar, data.length);

  SimulateSummary summary;
  summary.arrays = mapping.arrays.size();
  summary.utilisation = mapping.utilisation();
  summary.conversions_per_step = mapping.conversions_per_step();
  summary.conversions_per_sequence = mapping.conversions_per_sequence();
  const std::vector<std::uint32_t> order = length_order(data);
  const auto block = static_cast<std::size_t>(network.options().block_length);
  Batch batch;
  for (int i = 0; i < chips; ++i) {
    const Chip chip(network, mapping, device, crossbar, seed, static_cast<std::uint32_t>(i));
    std::size_t correct = 0;
    for (std::size_t start = 0; start < data.count; start += kChunk) {
      if (stop && stop()) {
        summary.interrupted = true;
        return summary;
      }
      // One chunk is the same for all chips.
      if (i == 0 || data.count > kChunk) {
        const std::size_t count = std::min(kChunk, data.count - start);
        fill_batch(data, std::span(order).subspan(start, count), block, batch);
      }
      correct += chip.run(batch, static_cast<std::uint32_t>(start), pool).correct;
    }
    summary.accuracy.push_back(static_cast<double>(correct) / static_cast<double>(data.count));
  }

  const auto n = static_cast<double>(chips);
  for (const double a : summary.accuracy) summary.mean += a / n;
  double squares = 0;
  for (const double a : summary.accuracy) squares += (a - summary.mean) * (a - summary.mean);
  summary.deviation = chips > 1 ? std::sqrt(squares / (n - 1)) : 0;
  summary.worst = *std::min_element(summary.accuracy.begin(), summary.accuracy.end());
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return summary;
}

}  // namespace crosstate
