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
#include "crosstate/formats/safetensors.h"
#include "crosstate/pipeline/options.h"

namespace crosstate {

/// What was done to the data that a model was trained on. It travels in the model's file, so that
/// the model meets the same input wherever it is evaluated.
struct Preparation {
  Readout readout;
  std::uint64_t permutation_seed = 0;  // 0: steps in order
  std::size_t permuted_steps = 0;      // length of the sequences that were permuted
  std::optional<FrontEnd> front_end;   // of recordings

  /// Adds what save_readout() does and metadata "permutation_seed", for permuted steps their order
  /// as the tensor "permutation" (step t is what was step permutation[t]), and what
  /// FrontEnd::save() adds.
  void save(Safetensors& model) const;
  /// Nothing for a model that tells none of it.
  static std::optional<Preparation> load(const Safetensors& model, const std::string& where);

  /// What of save() a model tells otherwise or not at all, but for the front end's statistics: the
  /// first such key or tensor; "" if it was trained on data prepared like this.
  std::string difference(const Safetensors& model) const;
  /// Throws Error (`where`: the model) for sequences of another length than those whose steps were
  /// permuted: their order would be an unrelated one.
  void require_length(const Dataset& set, const std::string& where) const;
};

struct RunData {
  Dataset training, validation, test;  // validation may be empty
  Preparation preparation;
  std::vector<std::string> notes;        // what was left out or assumed when reading, a line each
  std::unique_ptr<Augmenter> augmenter;  // of the training set; null: the same in every epoch
};

/// What the options name. Throws Error for a directory that is missing or holds no data.
DataKind kind_of(const DataOptions& options);
bool holds_recordings(const DataOptions& options);

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
RunData load_model_data(const RunOptions& options, const std::optional<Preparation>& preparation,
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
