// The data of a run: read, prepared for the network and split.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/augment.h"
#include "crosstate/data/batch.h"
#include "crosstate/data/dataset.h"
#include "crosstate/data/front_end.h"
#include "crosstate/data/mnist.h"
#include "crosstate/inference/preparation.h"
#include "crosstate/pipeline/options.h"

namespace crosstate::pipeline {

struct RunData {
  // Validation may be empty, and so may the test set of data in memory.
  data::Dataset training, validation, test;
  inference::Preparation preparation;
  std::vector<std::string> notes;  // what was left out or assumed when reading, one line each
  std::unique_ptr<data::Augmenter>
      augmenter;  // of the training set; null: the same set in every epoch
};

/// Kind of the data that the options select. Throws Error for a directory that is missing or holds
/// no data.
data::DataKind kind_of(const data::DataOptions& options);
bool holds_recordings(const data::DataOptions& options);

/// Throws the errors of load_run_data() that can be detected without reading a sequence.
void require_data(const RunOptions& options);

/// Reads and prepares the data that the options select. The statistics of the front end are those
/// of the training set without the part held out. The validation set is the validation part of the
/// data; without one it is held out of the training set. Throws Error if the training set is
/// unusable, for example if it has only one class, and if no step of some set has a target; smaller
/// defects become notes. The pool must outlive the result.
RunData load_run_data(const RunOptions& options, ThreadPool& pool);

/// The sets that the options select, split as by load_run_data() and prepared as for the model. For
/// a model without this information (empty `preparation`), data.permutation_seed decides. Throws
/// Error (with `where`) for data of another kind, with other outputs or, if steps are permuted, of
/// another length than those of the model, for recordings that are all in the test set, and if no
/// step of some set has a target. What was left out or assumed when reading is in the notes.
/// RunData::preparation and augmenter stay empty.
RunData load_model_data(const RunOptions& options,
                        const std::optional<inference::Preparation>& preparation,
                        const std::string& where, ThreadPool& pool);
/// Only the test set of these; the others need not exist. Without a preparation, targets
/// are those of whole sequences.
data::Dataset load_test_data(const data::DataOptions& options,
                             const std::optional<inference::Preparation>& preparation,
                             const std::string& where, ThreadPool& pool);

/// Sizes and checksums of the sets that the options select, before any preparation: "training" and
/// "test".
nlohmann::json data_identity(const data::DataOptions& options, task::Scope scope);

/// RunOptions::calibration sequences of a set, drawn at random from the seed.
std::vector<data::Batch> calibration_batches(const data::Dataset& set, const RunOptions& options);

/// PruneOptions::batches batches of 16 sequences, spread evenly over the set.
std::vector<data::Batch> score_batches(const data::Dataset& set, const RunOptions& options);

}  // namespace crosstate::pipeline
