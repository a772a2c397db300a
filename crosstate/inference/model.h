// A model as it is saved and deployed: a float, quantized or integer network together with the
// preparation of its input.
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

/// Backend that computes the outputs of a model.
enum class ModelBackend {
  kFloat,          // float, without any quantization
  kFakeQuantized,  // quantized values in float, as in training
  kInteger,        // integer arithmetic, as deployed
  kReference,      // bit-identical results of the scalar reference executor, which is slow
};
constexpr auto enum_names(ModelBackend) {
  return std::array{
      Named{"float", ModelBackend::kFloat}, Named{"fake", ModelBackend::kFakeQuantized},
      Named{"integer", ModelBackend::kInteger}, Named{"reference", ModelBackend::kReference}};
}

/// Outputs of a network, before the task interprets them: one row per sequence or, with outputs at
/// every step, one row per step of each sequence, concatenated over sequences.
struct Predictions {
  std::size_t outputs = 0;           // number of outputs per row
  std::vector<float> values;         // [rows][outputs]: logits or regressed values
  std::vector<std::size_t> largest;  // [rows]: index of the largest output, the first of equals; of
                                     // integers by the exact scores
  std::vector<std::size_t> first =
      {};  // [sequences]: index of the first row of each; empty: one row each

  /// Number of rows.
  std::size_t count() const { return largest.size(); }
  /// The outputs for a sequence, or for one step of it.
  task::Output of(std::size_t sequence, std::size_t step = 0) const {
    const std::size_t row = first.empty() ? sequence : first[sequence] + step;
    return {std::span(values).subspan(row * outputs, outputs), largest[row]};
  }
};

/// Quality of predictions on a set.
struct Evaluation {
  double loss = 0;           // mean over the targets that count
  std::vector<double> sums;  // see Task::sums()
};
/// Loss and metrics by the task of the set. Throws Error naming the model if a loss is not finite,
/// and for predictions of sequences on a set with targets of steps, or vice versa.
Evaluation evaluate(const Predictions& predictions, const data::Dataset& set,
                    const std::string& model);

/// A model prepared for one backend.
class Predictor {
 public:
  /// Returns the rows of the sequences of the batch, in order; the same bits on any number of
  /// threads. Throws Error for a batch whose number of channels differs from the number of inputs
  /// of the model.
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
  /// `name` identifies the model in errors; load() uses the name of the file.
  explicit Model(model::Network network, std::optional<Preparation> preparation = std::nullopt,
                 std::string name = "model");
  explicit Model(integer::IntegerNetwork network,
                 std::optional<Preparation> preparation = std::nullopt, std::string name = "model");

  /// Reads a safetensors file of a network or an integer network. Throws Error naming the file if
  /// it is missing, damaged or neither of these, for a format that is not that of its content, for
  /// a preparation of the input that does not fit the network, and for tensors and metadata that it
  /// does not know.
  static Model load(const std::filesystem::path& file);
  static Model from_tensors(const formats::Safetensors& content, const std::string& name);
  /// Writes one file, completely or not at all.
  void save(const std::filesystem::path& file) const;
  formats::Safetensors to_tensors() const;

  const std::string& name() const { return name_; }
  /// Null for an integer network.
  const model::Network* network() const { return std::get_if<model::Network>(&network_); }
  bool quantized() const { return network() == nullptr || network()->quantized(); }
  /// Empty if the model file does not record the preparation of its input.
  const std::optional<Preparation>& preparation() const { return preparation_; }
  model::TaskShape shape() const;
  /// Whether outputs are read once per sequence or at every step.
  task::Scope scope() const;
  /// Meaning of the outputs; for a model file that does not record it, numbered classes.
  task::Readout readout() const;
  /// The block length for fill_batch() that suits the model.
  std::size_t block_length() const;

  /// Why the model cannot be converted to an integer network; empty if it can, or is one already.
  std::string not_integer() const;
  /// The model as an integer network. Throws Error with the reason if it cannot be converted.
  integer::IntegerNetwork integers() const;
  Model to_integers() const;
  /// The same network behind the same front end in other arithmetic, with the same statistics. The
  /// network was trained on the features of the former one, so that its accuracy may change. Throws
  /// Error for a model without a front end, or whose front end has no such form.
  Model with_front_end(data::FrontEndArithmetic arithmetic) const;
  /// The same with batch norms folded into the preceding layers, as deployed.
  Model folded() const;

  /// Backend of the model as it was saved.
  ModelBackend backend() const;
  /// Throws Error for a backend that the model does not support.
  void require(ModelBackend backend) const;
  /// As above.
  Predictor predictor(ModelBackend backend) const;
  /// Runs a whole set, whose input must be already prepared; rows are in the order of its
  /// sequences. Returns nothing if `stop`, called before every batch, returned true. Throws Error
  /// for a set that does not fit.
  std::optional<Predictions> predict(const data::Dataset& set, ModelBackend backend,
                                     ThreadPool& pool, const std::function<bool()>& stop) const;
  Predictions predict(const data::Dataset& set, ModelBackend backend, ThreadPool& pool) const;
  /// Throws Error for a set whose channels, outputs or read-outs differ from those of the model
  /// and, on integer backends, for sequences longer than longest_sequence().
  void require_fit(const data::Dataset& set, ModelBackend backend) const;

  /// Runs the integer network on one endless input, from samples to outputs. `source` names the
  /// input in errors. Throws Error for a model that is not an integer network or reads its time
  /// steps in a permuted order.
  ModelStream stream(const std::string& source = "the input") const;

  /// Description of the model: sections "model" and "quant" of its settings, inputs, outputs,
  /// parameters, shapes, layers (channels, modes, a_max, time_constants in steps); for integer
  /// networks sizes and formats.
  nlohmann::json describe() const;

 private:
  std::variant<model::Network, integer::IntegerNetwork> network_;
  std::optional<Preparation> preparation_;
  std::string name_;
};

/// For NAME.safetensors, the file of the same model as an integer network:
/// NAME.integer.safetensors.
std::filesystem::path integer_file(std::filesystem::path file);

}  // namespace crosstate::inference
