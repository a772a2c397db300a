#include "crosstate/simulate/simulate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/integer/lanes.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/chip.h"

namespace crosstate {
namespace {

// Sequences brought into the layout of a batch at a time; a multiple of the lanes.
constexpr std::size_t kChunk = 1024;
constexpr std::size_t kBlock = 28;  // steps that stay in the first-level cache

void check(const IntegerNetwork& network, const Dataset& data) {
  if (data.count == 0) fail(data.name, "no sequences, expected at least one");
  if (data.channels != network.inputs || data.classes.size() > network.classes) {
    fail(data.name, std::to_string(data.channels) + " channels and " +
                        std::to_string(data.classes.size()) + " classes, but the network has " +
                        std::to_string(network.inputs) + " and " + std::to_string(network.classes));
  }
}

// The sequences of a test, by length.
std::vector<std::uint32_t> tested(const Dataset& data, const SimulateOptions& options) {
  std::vector<std::uint32_t> order = length_order(data);
  if (options.sequences == 0) return order;
  const auto most = static_cast<std::uint32_t>(options.sequences);
  std::erase_if(order, [&](std::uint32_t i) { return i >= most; });
  return order;
}

Batch calibration_batch(const Dataset& data, int sequences) {
  const std::size_t count = std::min(data.count, static_cast<std::size_t>(sequences));
  std::vector<std::uint32_t> order(count);
  for (std::size_t i = 0; i < count; ++i) {
    order[i] = static_cast<std::uint32_t>(data.count - count + i);
  }
  Batch batch;
  fill_batch(data, order, kBlock, batch);
  return batch;
}

std::size_t correct_of(const Batch& batch, const std::vector<ChipResult>& results) {
  std::size_t correct = 0;
  for (std::size_t i = 0; i < batch.count; ++i) {
    correct += results[i].best() == static_cast<std::size_t>(batch.labels[i]) ? 1 : 0;
  }
  return correct;
}

void summarise(AgeSummary& age) {
  const auto n = static_cast<double>(age.accuracy.size());
  age.mean = age.deviation = 0;
  for (const double a : age.accuracy) age.mean += a / n;
  double squares = 0;
  for (const double a : age.accuracy) squares += (a - age.mean) * (a - age.mean);
  age.deviation = n > 1 ? std::sqrt(squares / (n - 1)) : 0;
  age.worst = *std::min_element(age.accuracy.begin(), age.accuracy.end());
}

// One data set on chip after chip.
class Simulation {
 public:
  Simulation(const Dataset& data, std::vector<std::uint32_t> order, ThreadPool& pool,
             const std::function<bool()>& stop)
      : data_(data), order_(std::move(order)), pool_(pool), stop_(stop) {}

  /// Nothing if it was stopped.
  std::optional<double> accuracy(const Chip& chip) {
    std::size_t correct = 0;
    for (std::size_t start = 0; start < order_.size(); start += kChunk) {
      if (stop_ && stop_()) return std::nullopt;
      const std::size_t count = std::min(kChunk, order_.size() - start);
      // One chunk is the same for all chips.
      if (batch_.count == 0 || order_.size() > kChunk) {
        fill_batch(data_, std::span(order_).subspan(start, count), kBlock, batch_);
      }
      correct += correct_of(batch_, chip.run(batch_, static_cast<std::uint32_t>(start), pool_));
    }
    return static_cast<double>(correct) / static_cast<double>(order_.size());
  }

 private:
  const Dataset& data_;
  std::vector<std::uint32_t> order_;
  ThreadPool& pool_;
  const std::function<bool()>& stop_;
  Batch batch_;
};

}  // namespace

SimulateSummary simulate(const IntegerNetwork& network, const Dataset& data, const Target& target,
                         const SimulateOptions& options, std::uint64_t seed, ThreadPool& pool,
                         const SimulateContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  validate(options);
  validate(target);
  check(network, data);
  const Mapping mapping = map_network(network, target.crossbar, data.length);

  SimulateSummary summary;
  summary.arrays = mapping.arrays.size();
  summary.utilisation = mapping.utilisation();
  summary.conversions_per_step = mapping.conversions_per_step();
  summary.conversions_per_sequence = mapping.conversions_per_sequence();
  for (const double t : simulated_times(options)) summary.ages.emplace_back().seconds = t;

  const bool calibrated = target.crossbar.adc_range == "calibrated";
  const Batch calibration = calibration_batch(data, calibrated ? options.calibration : 1);
  Simulation simulation(data, tested(data, options), pool, context.stop);
  for (int i = 0; i < options.chips; ++i) {
    Chip chip(network, mapping, target, seed, static_cast<std::uint32_t>(i));
    for (const ProgrammedArray& array : chip.arrays()) {
      summary.programming.add(array.cells().programming());
    }
    for (std::size_t age = 0; age < summary.ages.size(); ++age) {
      AgeSummary& of_age = summary.ages[age];
      double accuracy = context.known ? context.known(i, age) : -1;
      if (accuracy < 0) {
        chip.age_to(of_age.seconds);
        if (calibrated) chip.calibrate(calibration);
        const std::optional<double> found = simulation.accuracy(chip);
        if (!found) {
          summary.interrupted = true;
          return summary;
        }
        accuracy = *found;
        if (context.finished) context.finished(i, age, accuracy);
      }
      of_age.accuracy.push_back(accuracy);
    }
  }
  for (AgeSummary& age : summary.ages) summarise(age);
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return summary;
}

StateErrors state_errors(const IntegerNetwork& network, const Dataset& data, const Target& target,
                         std::uint64_t seed, double age, std::size_t sequences) {
  validate(target);
  check(network, data);
  const Mapping mapping = map_network(network, target.crossbar, data.length);
  Chip chip(network, mapping, target, seed, 0);
  chip.age_to(age);
  const Chip exact(network, mapping, ideal_target(target), seed, 0);

  // By 1 - |A|: slow modes have long memories of an error.
  const std::vector<double> edges = {0, 0.5, 0.9, 0.97, 0.99, 0.997, 1.01};
  StateErrors errors;
  for (std::size_t g = 0; g + 1 < edges.size(); ++g) {
    errors.groups.push_back({edges[g], edges[g + 1], 0, std::vector<double>(data.length, 0)});
  }
  std::vector<std::size_t> group_of;
  for (const IntegerBlock& b : network.blocks) {
    for (std::size_t i = 0; i < b.ar.size(); ++i) {
      const double size =
          std::hypot(pole_value(b.ar[i]), network.complex ? pole_value(b.ai[i]) : 0);
      const auto above = std::upper_bound(edges.begin(), edges.end() - 1, size);
      group_of.push_back(static_cast<std::size_t>(above - edges.begin()) - 1);
      ++errors.groups[group_of.back()].modes;
    }
  }

  const std::size_t count = std::min(sequences, data.count), parts = 2 * group_of.size();
  std::vector<std::size_t> seen(data.length, 0);
  for (std::size_t s = 0; s < count; ++s) {
    const auto number = static_cast<std::uint32_t>(s);
    Batch batch;
    fill_batch(data, std::span(&number, 1), kBlock, batch);
    const std::vector<float> found = chip.state_path(batch, number);
    const std::vector<float> want = exact.state_path(batch, number);
    for (std::size_t t = 0; t < found.size() / parts; ++t) {
      ++seen[t];
      for (std::size_t i = 0; i < parts; ++i) {
        const double e =
            double{found[t * parts + i] - want[t * parts + i]} / network.state_limit;
        errors.groups[group_of[i / 2]].rms[t] += e * e;
      }
    }
  }
  for (StateErrors::Group& group : errors.groups) {
    const double values = (network.complex ? 2.0 : 1.0) * static_cast<double>(group.modes);
    for (std::size_t t = 0; t < group.rms.size(); ++t) {
      const double n = values * static_cast<double>(seen[t]);
      group.rms[t] = n > 0 ? std::sqrt(group.rms[t] / n) : 0;
    }
  }
  std::erase_if(errors.groups, [](const StateErrors::Group& g) { return g.modes == 0; });
  return errors;
}

}  // namespace crosstate
