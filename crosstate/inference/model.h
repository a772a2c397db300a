// A model as it is saved and deployed: a network in floating point, quantized or in integers,
// together with the preparation of its input.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "crosstate/base/named.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/data/dataset.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/inference/preparation.h"
#include "crosstate/inference/stream.h"
#include "crosstate/integer/network.h"
#include "crosstate/model/network.h"
#include "crosstate/task/task.h"

namespace crosstate::inference {

/// How the outputs of a model are computed.
enum class ModelBackend {
  kFloat,          // in floating point, without any rounding
  kFakeQuantized,  // with rounded values in floating point, as in training
  kInteger,        // with integers, as deployed
  kReference,      // the same bits from the scalar reference executor, which is slow
};
constexpr auto enum_names(ModelBackend) {
  return std::array{
      Named{"float", ModelBackend::kFloat}, Named{"fake", ModelBackend::kFakeQuantized},
      Named{"integer", ModelBackend::kInteger}, Named{"reference", ModelBackend::kReference}};
}

/// Outputs of a network, before the task interprets them.
struct Predictions {
  std::size_t outputs = 0;           // per sequence
  std::vector<float> values;         // [sequences][outputs]: logits, or regressed values
  std::vector<std::size_t> largest;  // [sequences]: index of the largest output, the first of
                                     // equals; of integers by the exact scores

  std::size_t count() const { return largest.size(); }
  task::Output of(std::size_t sequence) const {
    return {std::span(values).subspan(sequence * outputs, outputs), largest[sequence]};
  }
};

/// How well predictions meet the targets of a set.
struct Evaluation {
  double loss = 0;           // mean over the sequences
  std::vector<double> sums;  // see Task::sums()
};
/// By the task of the set. Throws Error that names the model where a loss is not finite.
Evaluation evaluate(const Predictions& predictions, const data::Dataset& set,
                    const std::string& model);

/// A model ready to run on one backend.
class Predictor {
 public:
  /// One row per sequence of the batch, in its order; the same bits on any number of threads.
  /// Throws Error for a batch of another number of channels than the model has inputs.
  Predictions run(const data::Batch& batch, ThreadPool& pool) const { return run_(batch, pool); }
  ModelBackend backend() const { return backend_; }
  /// Time steps per block for fill_batch().
  std::size_t block_length() const { return block_length_; }

 private:
  friend class Model;
  ModelBackend backend_ = ModelBackend::kFloat;
  std::size_t block_length_ = 0;
  std::function<Predictions(const data::Batch&, ThreadPool&)> run_;
};

class Model {
 public:
  /// `name` stands for the model in errors; load() takes the file's.
  explicit Model(model::Network network, std::optional<Preparation> preparation = std::nullopt,
                 std::string name = "model");
  explicit Model(integer::IntegerNetwork network,
                 std::optional<Preparation> preparation = std::nullopt, std::string name = "model");

  /// Reads a safetensors file of a network or an integer network. Throws Error that names the file
  /// for one that is missing, damaged or of neither kind.
  static Model load(const std::filesystem::path& file);
  static Model from_tensors(const formats::Safetensors& content, const std::string& name);
  /// Writes one file, completely or not at all.
  void save(const std::filesystem::path& file) const;
  formats::Safetensors to_tensors() const;

  const std::string& name() const { return name_; }
  /// Null for a model of integers.
  const model::Network* network() const { return std::get_if<model::Network>(&network_); }
  bool quantized() const { return network() == nullptr || network()->quantized(); }
  /// Nothing for a model that does not say how its input was prepared.
  const std::optional<Preparation>& preparation() const { return preparation_; }
  model::TaskShape shape() const;
  /// What the outputs stand for; of a model that does not say: classes with numbers for names.
  task::Readout readout() const;
  /// The length of fill_batch()'s blocks that suits the model.
  std::size_t block_length() const;

  /// Why the model cannot be converted to integers; empty if it can, or is of integers.
  std::string not_integer() const;
  /// The model in integers. Throws Error that says why there is none.
  integer::IntegerNetwork integers() const;
  Model to_integers() const;
  /// The same with batch norms folded into the layers before them, as it is deployed.
  Model folded() const;

  /// That of the model as it was saved.
  ModelBackend backend() const;
  /// Throws Error for a backend that the model does not have.
  void require(ModelBackend backend) const;
  /// Likewise.
  Predictor predictor(ModelBackend backend) const;
  /// Runs a whole set, whose input must be prepared already; row i belongs to sequence i. Nothing
  /// if `stop`, asked before every batch, said so. Throws Error for a set that does not fit.
  std::optional<Predictions> predict(const data::Dataset& set, ModelBackend backend,
                                     ThreadPool& pool, const std::function<bool()>& stop) const;
  Predictions predict(const data::Dataset& set, ModelBackend backend, ThreadPool& pool) const;
  /// Throws Error for a set with other channels or outputs than the model, or, on backends of
  /// integers, with sequences beyond longest_sequence().
  void require_fit(const data::Dataset& set, ModelBackend backend) const;

  /// Runs integers over one endless input, from samples to outputs. `source` names the input in
  /// errors. Throws Error for a model that has no integers or reads its steps in a permuted order.
  ModelStream stream(const std::string& source = "the input") const;

  /// What the model is made of: sections "model" and "quant" of its settings, inputs, outputs,
  /// parameters, shapes, layers (channels, modes, a_max, time_constants in steps); of integers
  /// their sizes and formats.
  nlohmann::json describe() const;

 private:
  std::variant<model::Network, integer::IntegerNetwork> network_;
  std::optional<Preparation> preparation_;
  std::string name_;
};

/// Beside NAME.safetensors, the file of the same model in integers: NAME.integer.safetensors.
std::filesystem::path integer_file(std::filesystem::path file);

}  // namespace crosstate::inference
