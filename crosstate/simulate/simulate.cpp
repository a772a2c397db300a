#include "crosstate/simulate/simulate.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "crosstate/base/complex.h"
#include "crosstate/base/error.h"
#include "crosstate/hardware/external.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/lanes.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/chip.h"

namespace crosstate::simulate {
namespace {

// Number of sequences that are arranged as a batch, and recorded, at a time; multiples of the
// lanes. Smaller where every step has a result, which takes memory, and for an external chip, whose
// slow results should not be lost.
constexpr std::size_t kChunk = 1024, kStepChunk = 128, kExternalChunk = kLanes;
constexpr std::size_t kBlock = 28;  // steps whose data stay in the first-level cache

void check(const integer::IntegerNetwork& network, const data::Dataset& data) {
  if (data.count == 0) fail(data.name, "no sequences, expected at least one");
  if (data.channels != network.inputs || data.readout.outputs() != network.outputs) {
    fail(data.name, std::to_string(data.channels) + " channels and " +
                        std::to_string(data.readout.outputs()) + " outputs, but the network has " +
                        std::to_string(network.inputs) + " and " + std::to_string(network.outputs));
  }
  if (data.readout.scope != network.scope()) {
    fail(data.name, std::string("a target of every ") + data.readout.unit() +
                        ", but the network is read at every " + name_of(network.scope()));
  }
  integer::require_length(network, data, "integer network");
}

// The sequences of a test, ordered by length.
std::vector<std::uint32_t> tested(const data::Dataset& data, const SimulateOptions& options) {
  std::vector<std::uint32_t> order = data::length_order(data);
  if (options.sequences == 0) return order;
  const auto most = static_cast<std::uint32_t>(options.sequences);
  std::erase_if(order, [&](std::uint32_t i) { return i >= most; });
  return order;
}

void require_any_target(const data::Dataset& data, const std::vector<std::uint32_t>& rows,
                        const SimulateOptions& options) {
  data.require_any_target();
  for (const std::uint32_t i : rows) {
    for (std::size_t k = 0; k < data.targets_of(i); ++k) {
      if (task::counts(data.target(i, k))) return;
    }
  }
  fail(data.name, std::string("no ") + data.readout.unit() + " of the first " +
                      std::to_string(rows.size()) +
                      " sequences has a target with simulate.sequences = " +
                      std::to_string(options.sequences) + ", expected more, or 0 for all");
}

data::Batch calibration_batch(const data::Dataset& data, int sequences) {
  const std::size_t count = std::min(data.count, static_cast<std::size_t>(sequences));
  std::vector<std::uint32_t> order(count);
  for (std::size_t i = 0; i < count; ++i) {
    order[i] = static_cast<std::uint32_t>(data.count - count + i);
  }
  data::Batch batch;
  data::fill_batch(data, order, kBlock, batch);
  return batch;
}

using Sums = SimulateContext::Sums;

Sums sums_of(const data::Batch& batch, const std::vector<ChipResult>& results) {
  const task::Task& task = *batch.readout.task;
  Sums sums(task.sums(batch.readout), 0);
  auto result = results.begin();
  for (std::size_t i = 0; i < batch.count; ++i) {
    for (std::size_t k = 0; k < batch.targets_of(i); ++k, ++result) {
      const std::span<const float> target = batch.target(i, k);
      if (batch.readout.every_step() && !task::counts(target)) continue;
      const std::vector<float> outputs = result->logits();
      task.add(batch.readout, task::Output(outputs, result->best()), target, sums);
    }
  }
  return sums;
}

void add(const Sums& part, Sums& to) {
  to.resize(part.size(), 0);
  for (std::size_t k = 0; k < part.size(); ++k) to[k] += part[k];
}

void summarise(AgeSummary& age, const task::TaskMetric& metric) {
  const auto n = static_cast<double>(age.metric.size());
  age.mean = age.deviation = 0;
  for (const double a : age.metric) age.mean += a / n;
  double squares = 0;
  for (const double a : age.metric) squares += (a - age.mean) * (a - age.mean);
  age.deviation = n > 1 ? std::sqrt(squares / (n - 1)) : 0;
  const auto [least, most] = std::minmax_element(age.metric.begin(), age.metric.end());
  age.worst = metric.higher_is_better ? *least : *most;
}

// Tests one data set on one chip after the other.
class Simulation {
 public:
  Simulation(const data::Dataset& data, std::vector<std::uint32_t> order, std::size_t chunk,
             ThreadPool& pool, const SimulateContext& context)
      : data_(data), order_(std::move(order)), chunk_(chunk), pool_(pool), context_(context) {}

  /// Returns nothing if stopped.
  std::optional<Sums> test(const Chip& chip, int number, std::size_t age) {
    Sums sums;
    for (std::size_t first = 0; first < order_.size(); first += chunk_) {
      if (context_.stop && context_.stop()) return std::nullopt;
      const std::size_t last = std::min(first + chunk_, order_.size());
      std::optional<Sums> part;
      if (context_.known_chunk) part = context_.known_chunk(number, age, first, last);
      if (!part) {
        const data::Batch& tested = batch(first, last);
        const std::vector<ChipResult> results =
            chip.run(tested, static_cast<std::uint32_t>(first), pool_, context_.stop);
        if (results.empty()) return std::nullopt;
        part = sums_of(tested, results);
        if (context_.finished_chunk) context_.finished_chunk(number, age, first, last, *part);
      }
      add(*part, sums);
    }
    return sums;
  }

 private:
  const data::Batch& batch(std::size_t first, std::size_t last) {
    // The chunks are the same for all chips.
    if (batch_.count == 0 || order_.size() > chunk_) {
      data::fill_batch(data_, std::span(order_).subspan(first, last - first), kBlock, batch_);
    }
    return batch_;
  }

  const data::Dataset& data_;
  std::vector<std::uint32_t> order_;
  std::size_t chunk_;
  ThreadPool& pool_;
  const SimulateContext& context_;
  data::Batch batch_;
};

std::unique_ptr<hardware::Backend> backend_of(const crossbar::Target& target,
                                              const mapping::Mapping& mapping) {
  if (!target.external.used()) return nullptr;
  return std::make_unique<hardware::ExternalChip>(
      target.external, mapping.arrays.size(), static_cast<std::size_t>(target.crossbar.rows),
      2 * static_cast<std::size_t>(target.crossbar.columns));
}

// A command that begins with the path of a file requires that file to be a program. Other shell
// commands can only be checked by starting the driver.
void require_driver(const std::string& command) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,/:+@%";
  const std::string program = command.substr(0, command.find(' '));
  if (program.find('/') == program.npos || program.find_first_not_of(kPlain) != program.npos) {
    return;
  }
  std::error_code ignored;
  const bool is_file = std::filesystem::is_regular_file(program, ignored);
  if (is_file && access(program.c_str(), X_OK) == 0) return;
  fail("options", "external.command = \"" + excerpt(command) +
                      "\": " + (is_file ? "that file is not executable" : "no such program"));
}

void require_age_of(const crossbar::Target& target, const SimulateOptions& options, double age) {
  try {
    device::require_age(target.device, age);
  } catch (const Error& error) {
    fail("options", "simulate.times = \"" + excerpt(options.times) + "\": " + error.what());
  }
}

}  // namespace

void require_possible(const crossbar::Target& target, const SimulateOptions& options) {
  if (!target.external.used()) {
    for (const double age : simulated_times(options)) require_age_of(target, options, age);
  } else if (options.chips != 1) {
    fail("options", "simulate.chips = " + std::to_string(options.chips) +
                        ", expected 1 with external.command, which is a single chip");
  } else {
    require_driver(target.external.command);
  }
}

void require_first_age(const crossbar::Target& target, const SimulateOptions& options) {
  require_age_of(target, options, simulated_times(options).front());
}

SimulateSummary simulate(const integer::IntegerNetwork& network, const data::Dataset& data,
                         const crossbar::Target& wanted, const SimulateOptions& options,
                         std::uint64_t seed, ThreadPool& pool, const SimulateContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  crossbar::Target target = wanted;
  // No driver is started, but the same restrictions apply.
  if (context.chip != nullptr) target.external.command = "the chip of the caller";
  validate(options);
  crossbar::validate(target);
  require_possible(target, options);
  check(network, data);
  const std::vector<std::uint32_t> rows = tested(data, options);
  require_any_target(data, rows, options);
  const mapping::Mapping mapping = mapping::map_network(network, target.crossbar, data.length);

  SimulateSummary summary;
  summary.readout = data.readout;
  summary.arrays = mapping.built();
  summary.utilisation = mapping.utilisation();
  summary.conversions_per_step = mapping.conversions_per_step();
  summary.conversions_per_sequence = mapping.conversions_per_sequence();
  for (const double t : simulated_times(options)) summary.ages.emplace_back().seconds = t;

  const bool calibrated = target.crossbar.adc_range == crossbar::AdcRange::kCalibrated;
  const data::Batch calibration = calibration_batch(data, calibrated ? options.calibration : 1);
  const bool external = summary.external = target.external.used();
  const std::size_t chunk = network.every_step ? kStepChunk : kChunk;
  Simulation simulation(data, rows, external ? kExternalChunk : chunk, pool, context);
  for (int i = 0; i < options.chips; ++i) {
    std::vector<std::optional<Sums>> known(summary.ages.size());
    for (std::size_t age = 0; age < known.size(); ++age) {
      if (context.known) known[age] = context.known(i, age);
    }
    std::unique_ptr<hardware::Backend> backend;
    std::optional<Chip> chip;
    if (!external || std::any_of(known.begin(), known.end(), [](const auto& k) { return !k; })) {
      if (context.chip == nullptr) backend = backend_of(target, mapping);
      chip.emplace(network, mapping, target, seed, static_cast<std::uint32_t>(i),
                   context.chip != nullptr ? context.chip : backend.get(), &pool);
    }
    for (std::size_t k = 0; !external && k < chip->arrays().size(); ++k) {
      for (const device::Cells& copy : chip->arrays()[k].copies()) {
        summary.programming.add(copy.programming());
      }
    }
    for (std::size_t age = 0; age < summary.ages.size(); ++age) {
      AgeSummary& of_age = summary.ages[age];
      if (!known[age]) {
        chip->age_to(of_age.seconds, &pool);
        if (calibrated) chip->calibrate(calibration);
        known[age] = simulation.test(*chip, i, age);
        if (!known[age]) {
          summary.interrupted = true;
          return summary;
        }
        if (context.finished) context.finished(i, age, *known[age]);
      }
      of_age.metric.push_back(task::primary_value(data.readout, *known[age]));
      add(*known[age], of_age.sums);
    }
  }
  for (AgeSummary& age : summary.ages) summarise(age, data.readout.task->primary());
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return summary;
}

SimulateSummary simulate(const inference::Model& model, const crossbar::Target& target,
                         const data::Dataset& data, ThreadPool& pool,
                         const SimulateOptions& options, std::uint64_t seed,
                         const SimulateContext& context) {
  model.require_fit(data, inference::ModelBackend::kInteger);
  return simulate(model.integers(), data, target, options, seed, pool, context);
}

StateErrors state_errors(const integer::IntegerNetwork& network, const data::Dataset& data,
                         const crossbar::Target& target, std::uint64_t seed, double age,
                         std::size_t sequences) {
  crossbar::validate(target);
  check(network, data);
  const mapping::Mapping mapping = mapping::map_network(network, target.crossbar, data.length);
  const std::unique_ptr<hardware::Backend> backend = backend_of(target, mapping);
  Chip chip(network, mapping, target, seed, 0, backend.get());
  chip.age_to(age);
  const Chip exact(network, mapping, crossbar::ideal_target(target), seed, 0);

  // Grouped by 1 - |A|: slow modes remember errors for a long time.
  const std::vector<double> edges = {0, 0.5, 0.9, 0.97, 0.99, 0.997, 1.01};
  StateErrors errors;
  for (std::size_t g = 0; g + 1 < edges.size(); ++g) {
    errors.groups.push_back({edges[g], edges[g + 1], 0, std::vector<double>(data.length, 0)});
  }
  std::vector<std::size_t> group_of;
  for (const integer::IntegerBlock& b : network.blocks) {
    for (std::size_t i = 0; i < b.ar.size(); ++i) {
      const double size =
          magnitude(quant::pole_value(b.ar[i]), network.complex ? quant::pole_value(b.ai[i]) : 0);
      const auto above = std::upper_bound(edges.begin(), edges.end() - 1, size);
      group_of.push_back(static_cast<std::size_t>(above - edges.begin()) - 1);
      ++errors.groups[group_of.back()].modes;
    }
  }

  const std::size_t count = std::min(sequences, data.count), parts = 2 * group_of.size();
  std::vector<std::size_t> seen(data.length, 0);
  for (std::size_t s = 0; s < count; ++s) {
    const auto number = static_cast<std::uint32_t>(s);
    data::Batch batch;
    data::fill_batch(data, std::span(&number, 1), kBlock, batch);
    const std::vector<float> found = chip.state_path(batch, number);
    const std::vector<float> want = exact.state_path(batch, number);
    for (std::size_t t = 0; t < found.size() / parts; ++t) {
      ++seen[t];
      for (std::size_t i = 0; i < parts; ++i) {
        const double e = double{found[t * parts + i] - want[t * parts + i]} / network.state_limit;
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

}  // namespace crosstate::simulate
