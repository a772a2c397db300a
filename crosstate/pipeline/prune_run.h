// Pruning of a trained model, with retraining and the results of each step.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/cost/memory.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/options.h"
#include "crosstate/pipeline/stages.h"
#include "crosstate/prune/select.h"
#include "crosstate/report/report.h"

namespace crosstate::pipeline {

/// One pruned version of a model.
struct PrunePoint {
  prune::PruneShares wanted;
  prune::NetworkSize size;
  // Primary metric on the test set directly after pruning; with gradual pruning, after pruning at
  // once.
  double one_shot = 0;
  double retrained = 0;          // after retraining; NaN without it
  double validation_metric = 0;  // likewise; NaN without a validation set
  cost::MemorySummary memory;
  std::string file;              // name of the model file in the directory
  train::TrainSummary training;  // of the last stage
};

struct PrunedModel {
  std::string file;
  bool quantized = false;
  double metric = 0;  // primary metric on the test set before pruning; NaN without one
  prune::NetworkSize size;
  cost::MemorySummary memory;
  std::vector<PrunePoint> points;
};

struct PruneSummary : PipelineSummary {
  std::vector<PrunedModel> models;  // the model and, if set, prune.against
};

/// Throws Error as validate() does, and for settings that do not apply to pruning of a trained
/// model.
void validate_prune(const RunOptions& options);

/// The networks that prune_model() prunes, of which the settings that have an effect depend: that
/// of the file and that of prune.against. Integer networks, which it refuses, are left out.
std::vector<NetworkKind> networks_to_prune(const std::string& file, const RunOptions& options);

/// Prunes the model of a file at every point of RunOptions::prune and retrains each result by
/// RunOptions::qat. A quantized model keeps its formats, with the noise of RunOptions::quant; a
/// float model is quantized by RunOptions::quant first or, without RunOptions::quantize, stays a
/// float model. The original model is the teacher of qat.distill. Writes pruned.safetensors (with
/// several points pruned-1.safetensors, ...; for prune.against "against" replaces "pruned"), the
/// integer network of each, checkpoints, prune.json and report.html to the directory. The
/// validation share of RunOptions::train is held out in the same way as in the training of the
/// model.
PruneSummary prune_model(const std::string& file, const RunOptions& options,
                         const RunContext& context);

/// {"models": [{"file", "accuracy", "states", "points": [{"states_removed", ...}]}], ...}
nlohmann::json to_json(const PruneSummary& summary);

/// One row per model and point.
report::Table prune_table(const PruneSummary& summary);
/// Plots the primary metric against the share of states removed.
report::Report prune_report(const PruneSummary& summary);

}  // namespace crosstate::pipeline
