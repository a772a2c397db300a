// A deep S4D network: encoder, blocks, pooling, decoder; forward, adjoint and quantization of every
// site. Runs one batch at a time, in groups of 16 sequences that are processed in parallel.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "crosstate/base/format.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/model/block_shape.h"
#include "crosstate/model/options.h"
#include "crosstate/model/parameter.h"
#include "crosstate/quant/options.h"

namespace crosstate::model {

/// The format of the files of Network.
inline constexpr FileFormat kNetworkFormat("crosstate network", 2, 2);

/// Key in the metadata of a checkpoint of training, which tells it from the file of a network.
inline constexpr const char* kCheckpointKey = "train.history";

/// Properties of a network that are determined by the data.
struct TaskShape {
  int inputs = 1;  // channels of the sequences
  int outputs = 10;
};

class Network;
struct NetworkParts;
struct Observers;

struct LossOptions {
  double label_smoothing = 0;
  std::uint64_t seed = 0;  // address of dropout and noise draws
  std::uint64_t step = 0;
  std::span<const float> teacher = {};  // as returned by evaluate() for the batch; empty: none
  double distillation = 0;              // share of the teacher's distribution, 0 to 1
  double temperature = 1;               // of both distributions, above 0
  /// Adds stream_weight times StreamTarget's loss; a network with the same channels and layers.
  const Network* stream_teacher = nullptr;
  double stream_weight = 0;
  std::span<const double> weights = {};  // of categories; empty: all 1
  std::span<const double> offsets = {};  // as in task::TaskLoss
};

struct BatchResult {
  double loss = 0;           // mean over the targets that count, see Task::loss()
  std::vector<double> sums;  // over the batch, see Task::sums()
  std::size_t count = 0;     // number of targets that count
};

class Network {
 public:
  /// Initialises every parameter from the seed.
  Network(const ModelOptions& options, const TaskShape& task, std::uint64_t seed);
  /// Creates blocks that lack modes and channels; `states` in the options is the maximum over
  /// channels.
  Network(const ModelOptions& options, const TaskShape& task, const std::vector<BlockShape>& shapes,
          std::uint64_t seed);
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;
  Network(const Network& other);
  Network& operator=(const Network& other);

  const ModelOptions& options() const;
  const TaskShape& task() const;
  std::vector<Parameter>& parameters();
  const std::vector<Parameter>& parameters() const;
  /// Number of trained values of the network itself, without ranges of quantizers.
  std::size_t parameter_count() const;

  /// Forward, loss and adjoint; stores the gradients in the parameters. Batch norm uses and updates
  /// batch statistics. Bit-identical for any number of threads. Throws Error for targets, or
  /// outputs of a teacher, that do not fit.
  BatchResult train_step(const data::Batch& batch, const LossOptions& loss, ThreadPool& pool);

  /// Bytes that train_step() allocates for `count` sequences of at most `length` steps, without the
  /// batch itself. The values of every step are kept for the adjoint.
  double training_bytes(std::size_t count, std::size_t length) const;

  /// Throws Error unless the other network has the same number of channels and layers, so that the
  /// residual streams can be compared.
  void require_same_streams(const Network& other) const;

  /// Forward only, with running statistics; without targets, loss and sums stay 0. logits, if not
  /// null: the outputs, [batch.count][outputs] or, with task::Scope::kStep, [batch.count]
  /// [batch.length][outputs] with zeros behind each sequence's length.
  BatchResult evaluate(const data::Batch& batch, ThreadPool& pool,
                       std::vector<float>* logits = nullptr) const;

  /// Moves the running statistics of batch norms by `share` towards those of the batch, computed
  /// without dropout and noise: shares of 1, 1/2, 1/3 ... give the means over the batches, each
  /// normalised by its own statistics. Does nothing without batch norms.
  void measure_norms(const data::Batch& batch, double share, ThreadPool& pool);

  /// Folds batch norms into the preceding linear layers; afterwards options().norm is "none" and
  /// evaluate() gives the same logits up to float rounding. This also holds for a quantized
  /// network: scaling a row of weights does not change its codes if each row has its own scale.
  void fold_norms();

  /// Chooses every range from the batches and enables quantization in evaluate() and train_step().
  /// Activation ranges become parameters of group kRange. Batch norms may be kept for training and
  /// folded afterwards, if every row of weights has its own scale. Throws Error, and changes
  /// nothing, if the network overflows on the batches, and without sequences unless only weights
  /// are quantized, without bias correction.
  void quantize(const quant::QuantOptions& options, std::span<const data::Batch> calibration,
                ThreadPool& pool);
  /// The same with ranges from observers that have been measured in this network (model/pass.h;
  /// with histograms if a range needs them; else Error), and without bias correction.
  void quantize(const quant::QuantOptions& options, const Observers& observers);
  /// Changes the formats. Ranges of sites with other settings than before, apart from whether the
  /// range is learned, are chosen from the batches, observed with the present weights and without
  /// quantization at those sites. These include the steps of all states if anything changes in
  /// their settings, be it only their rounding or residue: steps are not trained, and the present
  /// weights may have other states than those they were chosen for. Everything else keeps its
  /// value. Returns the indices of the range parameters that were chosen again. Throws Error, and
  /// changes nothing, for a network that is not quantized or overflows on the batches, and without
  /// sequences if there is something to choose from them.
  std::vector<std::size_t> requantize(const quant::QuantOptions& options,
                                      std::span<const data::Batch> calibration, ThreadPool& pool);
  /// Chooses the steps of all states from the batches, observed without rounding of states. Throws
  /// Error for a network that is not quantized or overflows and, if states are rounded, without
  /// sequences.
  void measure_states(std::span<const data::Batch> batches, ThreadPool& pool);
  /// Moves parameters and running statistics towards those of a network of the same shapes: v +=
  /// share (v' - v). Throws Error for other shapes.
  void move_towards(const Network& other, double share);
  bool quantized() const;
  /// Disables quantization; the weights are kept.
  void drop_rounding();
  const quant::QuantOptions& quant_options() const;

  /// The network reduced to the parts to keep. Its function is the same if the removed parts
  /// contribute nothing; ranges are unchanged. Throws Error for parts that do not exist, are
  /// repeated or out of order, and if a block would have no modes.
  Network part(const NetworkParts& kept) const;

  /// Saves all tensors and metadata of the network, and loads them; from_tensors() throws Error
  /// naming what is missing, has another shape or is not finite. It leaves alone what it does not
  /// know, such as the preparation of the input; Model::load() refuses the rest.
  formats::Safetensors to_tensors() const;
  static Network from_tensors(const formats::Safetensors& content, const std::string& where);

  struct Layer;
  struct State;
  /// The network as used by executors: coefficients after discretisation and quantization.
  const State& state() const;

 private:
  /// A network whose values are about to be replaced.
  static Network unfilled(const ModelOptions& options, const TaskShape& task,
                          const std::vector<BlockShape>& shapes);

  std::unique_ptr<State> state_;
};

}  // namespace crosstate::model
