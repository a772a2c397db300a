// Every setting of a run, from the data to the crossbar, as one list of fields.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/base/options.h"
#include "crosstate/crossbar/options.h"
#include "crosstate/data/options.h"
#include "crosstate/device/options.h"
#include "crosstate/model/options.h"
#include "crosstate/quant/options.h"
#include "crosstate/simulate/options.h"
#include "crosstate/train/options.h"

namespace crosstate {

/// Accuracy against device noise, for the network before and after quantization-aware training.
struct SweepOptions {
  std::string noise =
      "0 0.01 0.02 0.05 0.1";  // programming noise; read noise keeps its ratio to it
  int chips = 3;               // per level
  int sequences = 250;         // of the test set, the first ones; 0: all
};

struct RunOptions {
  RunOptions();

  std::uint64_t seed = 1;
  bool quantize = true;      // post-training quantization and quantization-aware training
  bool on_crossbar = false;  // then simulate chips; run.crossbar
  int calibration = 512;     // training sequences that choose the ranges
  DataOptions data;
  FrontEndOptions front_end;  // of recordings
  AugmentOptions augment;     // of recordings
  ModelOptions model;
  TrainOptions train;  // in floating point
  QuantOptions quant;
  TrainOptions qat;  // the same for the quantized network; validates on train's share
  DeviceOptions device;
  CrossbarOptions crossbar;
  SimulateOptions simulate;
  SweepOptions sweep;

  /// The fields of all sections, bound to this object.
  FieldList fields();
};

/// Throws Error for any value out of its range and for sections that contradict each other.
void validate(const RunOptions& options);

/// The numbers of SweepOptions::noise, ascending. Throws Error for text that is not such a list.
std::vector<double> noise_levels(const SweepOptions& options);

/// The settings of the demonstration on the built-in sample; configs/demo.toml says the same.
RunOptions demo_options();

}  // namespace crosstate
