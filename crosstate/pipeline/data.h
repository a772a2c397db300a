// The data of a run: read, prepared for the network, split.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/augment.h"
#include "crosstate/data/batch.h"
#include "crosstate/data/dataset.h"
#include "crosstate/data/front_end.h"
#include "crosstate/data/mnist.h"
#include "crosstate/data/safetensors.h"
#include "crosstate/pipeline/options.h"

namespace crosstate {

/// What was done to the data that a model was trained on. It travels in the model's file, so that
/// the model meets the same input wherever it is evaluated.
struct Preparation {
  std::vector<std::string> classes;
  std::uint64_t permutation_seed = 0;  // 0: steps in order
  std::size_t permuted_steps = 0;      // length of the sequences that were permuted
  std::optional<FrontEnd> front_end;   // of recordings

  /// Adds metadata "classes" and "permutation_seed", for permuted steps their order as the tensor
  /// "permutation" (step t is what was step permutation[t]), and what FrontEnd::save() adds.
  void save(Safetensors& model) const;
  /// Nothing for a model that tells none of it.
  static std::optional<Preparation> load(const Safetensors& model, const std::string& where);
};

struct RunData {
  Dataset training, validation, test;  // validation may be empty
  Preparation preparation;
  std::unique_ptr<Augmenter> augmenter;  // of the training set; null: the same in every epoch
};

/// Reads and prepares what the options name. The front end's statistics are those of the training
/// set without the part held out. The pool must outlive the result.
RunData load_run_data(const RunOptions& options, ThreadPool& pool);

/// The sets that the options name, prepared as for the model. A model that does not tell
/// (`preparation` empty) gets what data.permutation_seed says. Throws Error for a data set of
/// another kind or with other classes than the model's (`where`), and for recordings that are all
/// of the test set.
TrainTest load_model_data(const DataOptions& options, const std::optional<Preparation>& preparation,
                          const std::string& where, ThreadPool& pool);
/// Of these the test set alone; there may be no other.
Dataset load_test_data(const DataOptions& options, const std::optional<Preparation>& preparation,
                       const std::string& where, ThreadPool& pool);

/// Sizes and checksums of the sets that the options name, before any preparation: "training" and
/// "test".
nlohmann::json data_identity(const DataOptions& options);

/// RunOptions::calibration sequences of a set, drawn by the seed.
std::vector<Batch> calibration_batches(const Dataset& set, const RunOptions& options);

/// PruneOptions::batches batches of 16 sequences, spread evenly over the set.
std::vector<Batch> score_batches(const Dataset& set, const RunOptions& options);

}  // namespace crosstate
