// Every setting of a run, from the data to the crossbar, as one list of fields.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/base/options.h"
#include "crosstate/crossbar/target.h"
#include "crosstate/data/options.h"
#include "crosstate/model/options.h"
#include "crosstate/prune/options.h"
#include "crosstate/quant/options.h"
#include "crosstate/simulate/options.h"
#include "crosstate/train/context.h"
#include "crosstate/train/options.h"

namespace crosstate::pipeline {

/// Accuracy against device noise, for the network before and after quantization-aware training.
struct SweepOptions {
  std::string noise =
      "0 0.01 0.02 0.05 0.1";  // programming noise; read noise keeps its ratio to it
  int chips = 3;               // per level
  int sequences = 250;         // of the test set, the first ones; 0: all
};

/// Training of the quantized network: that of any network, helped by the float one.
struct QatOptions : train::TrainOptions {
  QatOptions();

  double distill = 0;       // weight of the float network's opinion beside the labels
  double temperature = 2;   // of both distributions there
  std::string stages;       // "PRESET:EPOCHS ..."; see qat_stages()
  double target_noise = 0;  // times the noise of the target; 0: what [quant] says
};

struct RunOptions {
  std::uint64_t seed = 1;
  std::string start;         // file of a float network that is not trained again; "": none
  bool quantize = true;      // post-training quantization and quantization-aware training
  bool prune_float = false;  // by [prune], before quantization; run.prune
  bool on_crossbar = false;  // then simulate chips; run.crossbar
  int calibration = 512;     // training sequences that choose the ranges
  data::DataOptions data;
  data::FrontEndOptions front_end;  // of recordings
  data::AugmentOptions augment;     // of recordings
  model::ModelOptions model;
  train::TrainOptions train;  // in floating point
  prune::PruneOptions prune;
  quant::QuantOptions quant;
  QatOptions qat;  // of the quantized network; validates on train's share
  crossbar::Target target;
  simulate::SimulateOptions simulate;
  SweepOptions sweep;

  /// The fields of all sections, bound to this object.
  FieldList fields();
};

/// Throws Error for any value out of its range, for sections that contradict each other, and for
/// all that needs no data to be seen as impossible: what would otherwise end a run after training.
void validate(const RunOptions& options);
/// Parts of that, for options of which little has changed: one section ("model"), apart from the
/// ranges of its values, and what sections say to each other.
void validate_section(const RunOptions& options, const std::string& section);
void validate_together(const RunOptions& options);

/// The numbers of SweepOptions::noise, ascending. Throws Error for text that is not such a list.
std::vector<double> noise_levels(const SweepOptions& options);

/// The stages of QatOptions::stages, "w8a0s0:2 w8a8s0:2 w8a8s8": presets and their epochs, of which
/// the last may stay open and takes what remains of qat.epochs. A stage is [quant] with its preset
/// instead of quant.preset, so what [quant] says of single sites holds in every stage; the last one
/// has to equal [quant]. Empty text: one stage. Throws Error for anything else.
std::vector<train::QuantStage> qat_stages(const RunOptions& options);

/// The settings of the demonstration on the built-in sample; configs/demo.toml says the same.
RunOptions demo_options();

}  // namespace crosstate::pipeline
