// All settings of a run, from the data to the crossbar, as one list of fields.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/base/options.h"
#include "crosstate/crossbar/target.h"
#include "crosstate/data/options.h"
#include "crosstate/model/options.h"
#include "crosstate/prune/options.h"
#include "crosstate/ptq/options.h"
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
  int sequences = 250;         // first sequences of the test set; 0: all
};

/// Training of the quantized network: the options of any training, plus distillation from a float
/// network.
struct QatOptions : train::TrainOptions {
  QatOptions();

  double distill = 0;          // share of the teacher's outputs in the loss
  std::string teacher;         // files of float networks, see teachers(); "": that of the run
  double temperature = 2;      // of both distributions
  double distill_streams = 0;  // weight of differences between the residual streams in the loss
  std::string stages;          // "PRESET:EPOCHS ..."; see qat_stages()
  double target_noise = 0;     // relative to the noise of the target; 0: noise of [quant]

  /// The files of `teacher`, which are separated by colons. Throws Error for an empty name.
  std::vector<std::string> teachers() const;
};

struct RunOptions {
  std::uint64_t seed = 1;
  std::string start;         // file of a float network that is not trained again; "": none
  bool quantize = true;      // post-training quantization and quantization-aware training
  bool prune_float = false;  // by [prune], before quantization; key run.prune
  bool on_crossbar = false;  // simulate chips afterwards; key run.crossbar
  int calibration = 512;     // training sequences from which ranges are chosen
  data::DataOptions data;
  data::FrontEndOptions front_end;  // of recordings
  data::AugmentOptions augment;     // of recordings
  model::ModelOptions model;
  train::TrainOptions train;  // float training
  prune::PruneOptions prune;
  quant::QuantOptions quant;
  ptq::SearchOptions ptq;  // of the format of a network that is not trained further
  QatOptions qat;          // quantized training; validates on the share of `train`
  crossbar::Target target;
  simulate::SimulateOptions simulate;
  SweepOptions sweep;

  /// The fields of all sections, bound to this object.
  FieldList fields();
};

/// Throws Error for any value out of range, for sections that contradict each other, and for
/// everything that can be found impossible without data and would otherwise end a run after
/// training.
void validate(const RunOptions& options);
/// Parts of validate(), for options of which only a few have changed: section "model" without the
/// ranges of its values, and contradictions between sections.
void validate_section(const RunOptions& options, const std::string& section);
void validate_together(const RunOptions& options);

/// The first site that keeps the network from being integer, as "quant.a.bits = 0" and, if the
/// preset decides that, its name; "" for none.
std::string site_without_codes(const RunOptions& options);

/// The values of SweepOptions::noise, ascending. Throws Error for text that is not such a list.
std::vector<double> noise_levels(const SweepOptions& options);

/// The stages of QatOptions::stages, "w8a0s0:2 w8a8s0:2 w8a8s8": presets with epochs; the last one
/// may omit its epochs and gets the remaining qat.epochs. A stage is [quant] with its preset in
/// place of quant.preset, so settings of [quant] for single sites apply in every stage; the last
/// one has to equal [quant]. Empty text: one stage. Throws Error for anything else.
std::vector<train::QuantStage> qat_stages(const RunOptions& options);

/// Settings of the demonstration on the built-in sample, equal to those of configs/demo.toml.
RunOptions demo_options();

}  // namespace crosstate::pipeline
