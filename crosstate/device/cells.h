// An array of cells, which is programmed once and then aged.
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

/// Cost of programming. Pulses and reads are 0 if programming was not simulated
/// (device.write_verify = false).
struct ProgrammingSummary {
  std::uint64_t cells = 0;
  std::uint64_t within = 0;  // cells that ended within device.tolerance of their target
  std::uint64_t pulses = 0, reads = 0;
  std::uint64_t most_pulses = 0;  // largest number of one cell
  std::uint64_t stuck_low = 0, stuck_high = 0, open = 0;
  double energy = 0;  // pJ

  double yield() const {
    return cells > 0 ? static_cast<double>(within) / static_cast<double>(cells) : 1;
  }
  void add(const ProgrammingSummary& other);
};

/// Throws Error, as Cells::age_to() would, if cells with these options are not defined at this time
/// after programming.
void require_age(const DeviceOptions& options, double seconds_since_programming);

/// Cells of one array, of a chip or of a part of it. With device.fresh = "read", the state at age 0
/// is that of the first read of the model's source; it lasts until that time. All random draws of
/// cell i have the address (seed, array, i): a cell does not depend on its neighbours, and its
/// conductance at a time does not depend on the times at which it was evaluated before.
class Cells {
 public:
  /// Programs the cells to `targets` (uS), which is age 0. fault_map: a Fault
  /// for each cell, which takes precedence over the rates of the options unless it is kNone; empty:
  /// only the rates. Throws Error for a target outside conductance_range(), for a fault_map of
  /// wrong size or with an unknown value, and as validate() does.
  Cells(const DeviceOptions& options, std::span<const double> targets, std::uint64_t seed,
        std::uint32_t array, std::span<const std::uint8_t> fault_map = {});

  /// Ages the cells. Throws Error for a time before the present one and for one that the model does
  /// not define (the message gives the defined times).
  void age_to(double seconds_since_programming);

  /// Present conductances in uS: with drift, relaxation, the 1/f path and faults.
  std::span<const double> conductance() const { return conductance_; }
  /// Standard deviation in uS between reads, the part that is independent from read to read; 0 for
  /// models without it.
  std::span<const double> read_deviation() const { return read_deviation_; }
  /// Standard deviation in uS between inferences: 1/f noise that is faster than
  /// options().inference_time, constant within an inference; not part of conductance().
  std::span<const double> inference_deviation() const { return inference_deviation_; }
  std::span<const double> targets() const { return targets_; }
  std::span<const std::uint8_t> faults() const { return faults_; }
  double time() const { return time_; }
  const DeviceOptions& options() const { return options_; }
  const ProgrammingSummary& programming() const { return summary_; }
  /// The setting of section "device" in which these cells differ from others, with both values, for
  /// example "drift (true, not false)"; "" if there is none. Tables are equal if their texts are.
  std::string other_setting(const Cells& others) const;

  /// Saves the cells as tensors and loads them: the same cells at the same time, which age in the
  /// same way. `where` names the source in errors.
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
  // Throws Error for an age that the model does not define.
  void require_defined_at(double seconds) const;
  // The time (s at 300 K) at which the model reads cells of the present age; 0: as programmed.
  double read_time() const;
  void read(double aged_seconds);

  DeviceOptions options_;
  std::shared_ptr<const DeviceModel> model_;
  ConductanceRange range_;
  double unit_ = 1;  // uS here per uS of the model
  std::uint64_t seed_ = 0;
  std::uint32_t array_ = 0;
  double time_ = 0;
  std::vector<double> targets_;
  std::vector<double> model_targets_, programmed_;  // uS of the model, before clipping at 0
  std::vector<double> conductance_, read_deviation_, inference_deviation_;
  std::vector<std::uint8_t> faults_;
  ProgrammingSummary summary_;
};

}  // namespace crosstate::device
