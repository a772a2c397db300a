// An array of cells: programmed once, then aged.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "crosstate/device/model.h"
#include "crosstate/formats/safetensors.h"

namespace crosstate::device {

enum class Fault : std::uint8_t { kNone, kStuckLow, kStuckHigh, kOpen };

/// The cost of programming. Pulses and reads are 0 where programming was not simulated
/// (device.write_verify = false).
struct ProgrammingSummary {
  std::uint64_t cells = 0;
  std::uint64_t within = 0;  // of them, cells that ended within device.tolerance of their target
  std::uint64_t pulses = 0, reads = 0;
  std::uint64_t most_pulses = 0;  // of one cell
  std::uint64_t stuck_low = 0, stuck_high = 0, open = 0;
  double energy = 0;  // pJ

  double yield() const {
    return cells > 0 ? static_cast<double>(within) / static_cast<double>(cells) : 1;
  }
  void add(const ProgrammingSummary& other);
};

/// Throws Error, as Cells::age_to() would, unless cells of these options are defined so long after
/// programming.
void require_age(const DeviceOptions& options, double seconds_since_programming);

/// Cells of one array, a chip's or a part's. All that is random about cell i has the address (seed,
/// array, i): a cell does not depend on its neighbours, and what it conducts at a time does not
/// depend on the times before at which it was looked at.
class Cells {
 public:
  /// Programs the cells to `targets` (uS) and is then at time 0, right after programming.
  /// fault_map: a Fault for each cell, which wins over the rates of the options where it is not
  /// kNone; empty: rates alone. Throws Error for a target outside conductance_range(), for another
  /// number of faults than of cells or an unknown one, and as validate() does.
  Cells(const DeviceOptions& options, std::span<const double> targets, std::uint64_t seed,
        std::uint32_t array, std::span<const std::uint8_t> fault_map = {});

  /// Ages the cells. Throws Error for a time before the present one and for one that
  /// the model does not define, which it names.
  void age_to(double seconds_since_programming);

  /// uS, now: with drift, relaxation, the 1/f path and faults.
  std::span<const double> conductance() const { return conductance_; }
  /// uS: standard deviation of one read to the next, the part that is independent from read to
  /// read; 0 for models without it.
  std::span<const double> read_deviation() const { return read_deviation_; }
  std::span<const double> targets() const { return targets_; }
  std::span<const std::uint8_t> faults() const { return faults_; }
  double time() const { return time_; }
  const DeviceOptions& options() const { return options_; }
  const ProgrammingSummary& programming() const { return summary_; }
  /// The setting of section "device" in which these cells differ from others, with both values, as
  /// in "drift (true, not false)"; "" if there is none. A table is the same if its text is.
  std::string other_setting(const Cells& others) const;

  /// The cells as tensors, and back: the same cells at the same time, which age as they would have.
  /// `where` names the source in errors.
  formats::Safetensors save() const;
  static Cells load(const formats::Safetensors& file, const std::string& where);

 private:
  Cells() = default;

  void set_model(const std::string& table);
  void draw_faults(std::span<const std::uint8_t> map);
  void program();
  void program_cell(std::size_t i);
  void count_faults();
  void impose_faults(double aged_seconds);
  void find_read_deviations();

  DeviceOptions options_;
  std::shared_ptr<const DeviceModel> model_;
  ConductanceRange range_;
  double unit_ = 1;  // uS here for one uS of the model
  std::uint64_t seed_ = 0;
  std::uint32_t array_ = 0;
  double time_ = 0;
  std::vector<double> targets_;
  std::vector<double> model_targets_, programmed_;  // uS of the model; not yet cut off at 0
  std::vector<double> conductance_, read_deviation_;
  std::vector<std::uint8_t> faults_;
  ProgrammingSummary summary_;
};

}  // namespace crosstate::device
