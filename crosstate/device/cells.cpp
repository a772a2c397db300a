#include "crosstate/device/cells.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/device/draws.h"
#include "crosstate/device/models.h"
#include "crosstate/device/write_verify.h"

namespace crosstate::device {
namespace {

// With enough digits to distinguish it from a bound that it barely exceeds.
std::string text_of(double value) { return rounded_text(value, 9); }

// Factor of ageing relative to 300 K: Arrhenius.
double acceleration(const DeviceOptions& options) {
  constexpr double kBoltzmann = 8.617333262e-5;  // eV/K
  return std::exp(options.activation_energy / kBoltzmann * (1.0 / 300 - 1 / options.temperature));
}

Fault fault_by_rate(const DeviceOptions& options, double u) {
  if (u < options.stuck_low) return Fault::kStuckLow;
  if (u < options.stuck_low + options.stuck_high) return Fault::kStuckHigh;
  if (u < options.stuck_low + options.stuck_high + options.open) return Fault::kOpen;
  return Fault::kNone;
}

}  // namespace

void ProgrammingSummary::add(const ProgrammingSummary& other) {
  cells += other.cells;
  within += other.within;
  pulses += other.pulses;
  reads += other.reads;
  most_pulses = std::max(most_pulses, other.most_pulses);
  stuck_low += other.stuck_low;
  stuck_high += other.stuck_high;
  open += other.open;
  energy += other.energy;
}

Cells::Cells(const DeviceOptions& options, std::span<const double> targets, std::uint64_t seed,
             std::uint32_t array, std::span<const std::uint8_t> fault_map)
    : options_(options), seed_(seed), array_(array), targets_(targets.begin(), targets.end()) {
  validate(options);
  set_model("");
  // A computed target, or one rounded to binary32, may exceed the range by a few bits.
  const double slack = 1e-9 * range_.high;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const double target = targets_[i];
    if (target >= range_.low - slack && target <= range_.high + slack) continue;
    if (nearly_within(target, range_.low, range_.high)) continue;
    fail("device model " + options.model, "target " + text_of(target) + " uS of cell " +
                                              std::to_string(i) + ", expected " +
                                              text_of(range_.low) + " to " + text_of(range_.high));
  }
  draw_faults(fault_map);
  program();
  if (read_time() > 0) read(read_time());
}

void Cells::set_model(const std::string& table) {
  model_ = make_device_model(options_, table);
  range_ = conductance_range(options_, *model_);
  unit_ = range_.high / model_->range().high;
  model_targets_.resize(targets_.size());
  for (std::size_t i = 0; i < targets_.size(); ++i) model_targets_[i] = targets_[i] / unit_;
}

void Cells::draw_faults(std::span<const std::uint8_t> map) {
  if (!map.empty() && map.size() != targets_.size()) {
    fail("fault map", std::to_string(map.size()) + " entries, expected " +
                          std::to_string(targets_.size()) + ", one for each cell");
  }
  faults_.assign(targets_.size(), 0);
  const bool has_rates = options_.stuck_low + options_.stuck_high + options_.open > 0;
  for (std::size_t i = 0; i < faults_.size(); ++i) {
    if (!map.empty() && map[i] > static_cast<std::uint8_t>(Fault::kOpen)) {
      fail("fault map", "entry " + std::to_string(i) + " is " + std::to_string(map[i]) +
                            ", expected 0 (none), 1 (stuck low), 2 (stuck high) or 3 (open)");
    }
    if (has_rates) {
      const CellDraws draws({seed_, array_, static_cast<std::uint32_t>(i)});
      faults_[i] = static_cast<std::uint8_t>(fault_by_rate(options_, draws.fault()));
    }
    if (!map.empty() && map[i] != 0) faults_[i] = map[i];
  }
}

void Cells::program() {
  programmed_.resize(targets_.size());
  conductance_.resize(targets_.size());
  inference_deviation_.assign(targets_.size(), 0);
  summary_.cells = targets_.size();
  for (std::size_t i = 0; i < targets_.size(); ++i) program_cell(i);
  impose_faults(0);
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const bool near = std::abs(conductance_[i] - targets_[i]) <= options_.tolerance * range_.high;
    summary_.within += near ? 1 : 0;
  }
  count_faults();
  summary_.energy = static_cast<double>(summary_.pulses) * options_.pulse_energy +
                    static_cast<double>(summary_.reads) * options_.verify_energy;
  find_read_deviations();
}

void Cells::count_faults() {
  const auto count = [&](Fault fault) {
    return static_cast<std::uint64_t>(
        std::count(faults_.begin(), faults_.end(), static_cast<std::uint8_t>(fault)));
  };
  summary_.stuck_low = count(Fault::kStuckLow);
  summary_.stuck_high = count(Fault::kStuckHigh);
  summary_.open = count(Fault::kOpen);
}

void Cells::program_cell(std::size_t i) {
  const CellDraws draws({seed_, array_, static_cast<std::uint32_t>(i)});
  if (options_.write_verify) {
    const Verified cell = write_verify(options_, *model_, model_targets_[i], draws);
    programmed_[i] = cell.conductance;
    // Pulses have no effect if a fault determines the conductance.
    const bool faulty = faults_[i] != 0;
    const auto pulses = static_cast<std::uint64_t>(faulty ? options_.max_pulses : cell.pulses);
    summary_.pulses += pulses;
    summary_.reads += pulses + 1;
    summary_.most_pulses = std::max(summary_.most_pulses, pulses);
  } else {
    programmed_[i] = model_->programmed(model_targets_[i], draws);
  }
  conductance_[i] = std::max(0.0, programmed_[i]) * unit_;
}

void require_age(const DeviceOptions& options, double seconds) {
  require_defined(*make_device_model(options), options.model, seconds * acceleration(options));
}

void Cells::age_to(double seconds) {
  if (!(seconds >= time_)) {
    fail("device", "time " + text_of(seconds) + " s, expected " + text_of(time_) +
                       " s (the present age) or later");
  }
  require_defined_at(seconds);
  time_ = seconds;
  if (read_time() > 0) read(read_time());
}

void Cells::require_defined_at(double seconds) const {
  require_defined(*model_, options_.model, seconds * acceleration(options_));
}

double Cells::read_time() const {
  const double first = options_.fresh == FreshState::kRead ? model_->first_read() : 0;
  return std::max(time_ * acceleration(options_), first);
}

void Cells::read(double aged_seconds) {
  const CellBlock cells{model_targets_, programmed_, seed_, array_};
  model_->age(cells, aged_seconds, conductance_);
  for (double& g : conductance_) g *= unit_;
  if (options_.inference_time > 0) {
    model_->flicker(cells, aged_seconds, inference_deviation_);
    for (double& deviation : inference_deviation_) deviation *= unit_;
  }
  impose_faults(aged_seconds);
  find_read_deviations();
}

void Cells::impose_faults(double aged_seconds) {
  for (std::size_t i = 0; i < faults_.size(); ++i) {
    if (options_.retention > 0 && aged_seconds > 0) {
      const CellDraws draws({seed_, array_, static_cast<std::uint32_t>(i)});
      const bool lost = aged_seconds >= -options_.retention * std::log(draws.lifetime());
      if (lost) conductance_[i] = range_.low;
      if (lost) inference_deviation_[i] = 0;
    }
    const auto fault = static_cast<Fault>(faults_[i]);
    if (fault != Fault::kNone) inference_deviation_[i] = 0;
    if (fault == Fault::kStuckLow) conductance_[i] = range_.low;
    if (fault == Fault::kStuckHigh) conductance_[i] = range_.high;
    if (fault == Fault::kOpen) conductance_[i] = 0;
  }
}

void Cells::find_read_deviations() {
  read_deviation_.resize(conductance_.size());
  for (std::size_t i = 0; i < conductance_.size(); ++i) {
    const bool open = static_cast<Fault>(faults_[i]) == Fault::kOpen;
    read_deviation_[i] = open ? 0 : unit_ * model_->read_deviation(conductance_[i] / unit_);
  }
}

}  // namespace crosstate::device
