// A trained model made smaller: pruned, trained on, and what each step came to.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/cost/memory.h"
#include "crosstate/pipeline/options.h"
#include "crosstate/pipeline/stages.h"
#include "crosstate/prune/select.h"
#include "crosstate/report/report.h"

namespace crosstate::pipeline {

/// One pruning of one model.
struct PrunePoint {
  prune::PruneShares wanted;
  prune::NetworkSize size;
  // The task's primary metric on the test set before any training; of gradual pruning, at once.
  double one_shot = 0;
  double retrained = 0;          // afterwards; NaN without
  double validation_metric = 0;  // likewise; NaN without a validation set
  cost::MemorySummary memory;
  std::string file;              // of the model, in the directory
  train::TrainSummary training;  // of the last stage
};

struct PrunedModel {
  std::string file;
  bool quantized = false;
  double metric = 0;  // likewise, on the test set before pruning
  prune::NetworkSize size;
  cost::MemorySummary memory;
  std::vector<PrunePoint> points;
};

struct PruneSummary : PipelineSummary {
  std::vector<PrunedModel> models;  // the model and, if named, prune.against
};

/// Throws Error as validate() does, and for settings that a pruning of a trained model cannot
/// follow.
void validate_prune(const RunOptions& options);

/// Prunes the model of a file at every point of RunOptions::prune and trains each on by
/// RunOptions::qat: a quantized model in its own formats, with the noise of RunOptions::quant; a
/// float one is quantized by RunOptions::quant first or, without RunOptions::quantize, stays in
/// floating point. The model as it was is the teacher of qat.distill. Leaves pruned.safetensors (of
/// several points pruned-1.safetensors, ...; of prune.against "against" in place of "pruned"), the
/// integers of each, checkpoints, prune.json and report.html in the directory. The validation share
/// of RunOptions::train is held out as it was when the model was trained.
PruneSummary prune_model(const std::string& file, const RunOptions& options,
                         const RunContext& context);

/// {"models": [{"file", "accuracy", "states", "points": [{"states_removed", ...}]}], ...}
nlohmann::json to_json(const PruneSummary& summary);

/// One row per model and point.
report::Table prune_table(const PruneSummary& summary);
/// With the primary metric against the share of states removed.
report::Report prune_report(const PruneSummary& summary);

}  // namespace crosstate::pipeline
