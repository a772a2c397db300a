// One group of 16 sequences: memory, random draws, read-out and adjoint of a forward and backward
// pass. The forward steps are in group_forward.h; pass.cpp runs the groups.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/data/batch.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/model/network.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/pass.h"

namespace crosstate::model {

/// A range of time steps of one group: in every tensor, the panels of a block are contiguous.
struct TimeBlock {
  std::size_t index, start, steps;
  std::size_t columns() const { return steps * kLanes; }
  kernels::Rows rows(float* tensor, std::size_t channels) const {
    return {tensor + start * channels * kLanes, columns()};
  }
  kernels::ConstRows rows(const float* tensor, std::size_t channels) const {
    return {tensor + start * channels * kLanes, columns()};
  }
};

/// What a forward pass keeps of a group of sequences, beside the read-out.
enum class Keep {
  kNothing,  // one block of time goes through the whole network before the next: walk_stretches()
  kStreams,  // the residual stream of every layer
  kAdjoint,  // all values that the adjoint needs
};

/// Data of one group of sequences. Panels of whole sequences have all blocks of time one after the
/// other.
struct GroupMemory {
  std::size_t group = 0;  // index in the batch
  Keep keep = Keep::kNothing;
  bool padded = false;                      // whether sequences are shorter than the batch
  std::array<std::size_t, kLanes> lengths;  // number of steps of each sequence
  // [layers + 1]: the residual stream, panels of H rows; of one block of time with Keep::kNothing
  std::vector<AlignedFloats> h;
  // Whether h[layers] is of one block of time in any case, for callers that take it block by block.
  bool passing_output = false;
  // For the adjoint only, [layers]:
  std::vector<AlignedFloats> y;  // SSM output before quantization; empty if it is not quantized
  std::vector<AlignedFloats> a, slope;      // activation before quantization
  std::vector<AlignedFloats> s;             // gate before quantization
  std::vector<AlignedFloats> z;             // linear output
  std::vector<AlignedFloats> checkpoints;   // [layers]: states at the start of each block
  std::vector<AlignedFloats> dropout;       // [layers]: [H][16] keep factors, empty without dropout
  std::array<std::uint32_t, kLanes> seeds;  // of stochastic rounding and converter noise
  std::array<double, kLanes> pool_count;    // number of pooled steps
  std::vector<double> pooled;               // [H][16]: sums over these steps
  AlignedFloats outputs;                    // panels of K rows, only with task::Scope::kStep
};

/// Panels of one block that are recomputed rather than kept.
struct Scratch {
  AlignedFloats x, pre, u, y, yq, a, aq, z, zn, zq, s, sq, r, g, gz, gs, gy, scan, carry, temp;
  AlignedFloats part;
  AlignedFloats mask;  // [steps][16]: 1 for steps of a sequence, 0 for padding
  AlignedFloats pool;  // [steps][16]: 1 for steps that are pooled, else 0
};

/// What a caller does before and after the adjoint of every block of time. Both may be empty.
struct AroundBlocks {
  std::function<void(const TimeBlock&)> before, after;
  /// Whether the gradient of the stream is of one block of time, which before() writes and after()
  /// reads, instead of the whole sequence.
  bool passing = false;
};

/// Stateless except for references to the network and the batch, so threads share one object.
class GroupPass {
 public:
  GroupPass(const Network::State& state, const Coefficients& coefficients,
            const data::Batch& batch);

  /// Allocates the memory of one group, at the start of its sequences.
  void prepare(GroupMemory& m, std::size_t group, Keep keep) const;

  /// Every sequence of every batch has its own random draws for rounding.
  static void draw_seeds(GroupMemory& m, std::size_t group, const LossOptions& loss);

  /// One draw per sequence, channel and layer, constant over time.
  void draw_dropout(GroupMemory& m, std::size_t group, const LossOptions& loss) const;

  /// Loss of one group; outputs as Network::evaluate() has them, and their gradients (not yet
  /// divided by the number of targets) if wanted: [K][16], or panels of K rows.
  BatchResult decode(const GroupMemory& m, std::size_t group, const LossOptions& loss,
                     float* logits, std::vector<double>* glogits) const;

  /// Writes dL/d(residual stream after the last layer) to gh.
  void decode_adjoint(const GroupMemory& m, const std::vector<double>& glogits, Gradients& g,
                      AlignedFloats& gh) const;

  /// The two sums of batch norm over one group: of the gradient at its output, and of that times z.
  void norm_sums(std::size_t l, GroupMemory& m, AlignedFloats& gh, Scratch& w, double* sum,
                 double* dot) const;

  /// Adjoint of one layer: gh, the gradient after the layer, becomes the gradient before it. `norm`
  /// holds the map g -> k0 g + k1 z + k2 per row ([3][O]) of batch norm, or is empty. Blocks of
  /// time are run from the last to the first.
  void layer_adjoint(std::size_t l, GroupMemory& m, AlignedFloats& gh, Scratch& w,
                     const AlignedFloats& norm, Gradients& g,
                     const AroundBlocks& around = {}) const;

  /// Gradients of the encoder, from gh after layer_adjoint().
  void encode_adjoint(GroupMemory& m, AlignedFloats& gh, Scratch& w, Gradients& g) const;

  const std::vector<TimeBlock>& blocks() const { return blocks_; }
  std::size_t inputs() const { return static_cast<std::size_t>(s_.task.inputs); }
  std::size_t channels() const { return H_; }
  std::size_t outputs() const { return O_; }  // of a linear layer
  /// Number of read-outs of a sequence, including padding.
  std::size_t reads() const { return every_step_ ? batch_.length : 1; }
  std::size_t state_size() const { return state_size_; }
  const BlockShape& shape(std::size_t l) const { return s_.shapes[l]; }
  /// The modes of the channel with index `s` in a block.
  kernels::ScanModes modes(std::size_t l, std::size_t s) const {
    return c_.blocks[l].scan(shape(l), s, complex_, gain_);
  }

 private:
  friend class GroupForward;
  friend class GroupAdjoint;

  void prepare_pool(GroupMemory& m) const;
  /// Scratch::pool of a block of time.
  const float* pool_weights(const GroupMemory& m, const TimeBlock& b, AlignedFloats& to) const;
  /// Adds read-out `read` of a sequence to the result; slope as in Task::loss(). Returns false if
  /// the target does not count.
  bool judge(std::size_t sequence, std::size_t read, const LossOptions& loss,
             const std::vector<float>& out, std::span<double> slope, BatchResult& result) const;
  void decode_steps_adjoint(const std::vector<double>& glogits, const GroupMemory& m, Gradients& g,
                            AlignedFloats& gh) const;

  /// Number of floats of the states of one block.
  std::size_t states_of(std::size_t l) const { return shape(l).modes() * state_size_; }

  const Network::State& s_;
  const Coefficients& c_;
  const data::Batch& batch_;
  std::size_t H_, O_, K_, layers_;
  std::size_t state_size_;                // per mode, including residues
  std::vector<std::size_t> first_modes_;  // [layers]
  bool gain_;  // the unit of rounded states is a step, so the input has a gain
  bool complex_, gated_, batch_norm_, layer_norm_, every_step_;
  kernels::Activation activation_, gate_;
  std::vector<TimeBlock> blocks_;
};

}  // namespace crosstate::model
