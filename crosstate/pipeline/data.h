// The data of a run: read, prepared for the network, split.
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
  data::Dataset training, validation, test;  // validation may be empty
  inference::Preparation preparation;
  std::vector<std::string> notes;  // what was left out or assumed when reading, a line each
  std::unique_ptr<data::Augmenter> augmenter;  // of the training set; null: the same in every epoch
};

/// What the options name. Throws Error for a directory that is missing or holds no data.
data::DataKind kind_of(const data::DataOptions& options);
bool holds_recordings(const data::DataOptions& options);

/// Throws Error for what load_run_data() would refuse without reading a single sequence.
void require_data(const RunOptions& options);

/// Reads and prepares what the options name. The front end's statistics are those of the training
/// set without the part held out. A validation part of the data is the validation set; without one
/// it is held out of the training set. Throws Error where the training set has nothing to learn
/// from, such as one class alone; what it lacks otherwise is a note. The pool must outlive the
/// result.
RunData load_run_data(const RunOptions& options, ThreadPool& pool);

/// The sets that the options name, split as by load_run_data() and prepared as for the model. A
/// model that does not tell (`preparation` empty) gets what data.permutation_seed says. Throws
/// Error for a data set of another kind, with other outputs or, where steps are permuted, of
/// another length than the model's (`where`), and for recordings that are all of the test set. What
/// was left out or assumed when reading stands in the notes. RunData::preparation and augmenter
/// stay empty.
RunData load_model_data(const RunOptions& options,
                        const std::optional<inference::Preparation>& preparation,
                        const std::string& where, ThreadPool& pool);
/// Of these the test set alone; there may be no other.
data::Dataset load_test_data(const data::DataOptions& options,
                             const std::optional<inference::Preparation>& preparation,
                             const std::string& where, ThreadPool& pool);

/// Sizes and checksums of the sets that the options name, before any preparation: "training" and
/// "test".
nlohmann::json data_identity(const data::DataOptions& options);

/// RunOptions::calibration sequences of a set, drawn by the seed.
std::vector<data::Batch> calibration_batches(const data::Dataset& set, const RunOptions& options);

/// PruneOptions::batches batches of 16 sequences, spread evenly over the set.
std::vector<data::Batch> score_batches(const data::Dataset& set, const RunOptions& options);

}  // namespace crosstate::pipeline
