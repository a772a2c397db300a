// Statistics of calibration sequences for the sites of a quantized network: moments of the inputs
// of its layers with quantization, and of the outputs of the float network for the same sequences.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network.h"
#include "crosstate/ptq/check.h"
#include "crosstate/ptq/moments.h"

namespace crosstate::ptq {

class Statistics {
 public:
  /// Runs the float network on the batches, which must outlive the object, and keeps samples of its
  /// values at every site, evenly spread over time: every n-th step, with the least n that leaves
  /// at most kMostSamples, but n is at most a quarter of the length of the shortest batch. `check`
  /// is called before every batch, here and in the measurements.
  Statistics(const model::Network& network, std::span<const data::Batch> batches, ThreadPool& pool,
             Check check = {});
  static constexpr std::size_t kMostSamples = 1 << 15, kStreamSteps = 1 << 14;

  /// Moments in a quantized network of the same shapes. The inputs of a site are the values that
  /// its weights multiply, with quantization; its outputs are those of the float network:
  /// - encoder: the input, codes times their scale; the residual stream before block 0;
  Moments encoder(const model::Network& quantized) const;
  /// - recurrence, per channel: real parts of the states of all modes, the negative imaginary parts
  ///   (only of complex modes), and the input of the channel, so that weights are (Re C, Im C, D)
  ///   with states in codes; the output of the recurrence;
  std::vector<Moments> recurrence(const model::Network& quantized, std::size_t layer) const;
  /// - pointwise layer: activations, the outputs before the gate;
  Moments linear(const model::Network& quantized, std::size_t layer) const;
  /// - decoder: the stream that it reads, pooled or at every step; the outputs of the network.
  Moments decoder(const model::Network& quantized) const;

  /// The input of the recurrence of a layer in the float network: channels of the block x
  /// [steps][16] of the first group of sequences, at most kStreamSteps steps.
  const std::vector<AlignedFloats>& stream(std::size_t layer) const { return streams_[layer]; }

  /// Values of one group of 16 sequences in the float network, [rows][samples][16].
  struct Group {
    AlignedFloats encoder;              // [H]
    std::vector<AlignedFloats> output;  // per layer: of the recurrence, [S]
    std::vector<AlignedFloats> linear;  // per layer, [O]
    AlignedFloats share;                // 1 if the sequence has the step, else 0
    AlignedFloats logits;  // [outputs][16] or, read at every step, [outputs][samples][16]
    AlignedFloats lanes;   // 1 for every sequence of the group, unless every step is read
  };

 private:
  std::span<const data::Batch> batches_;
  ThreadPool& pool_;
  Check check_;
  std::size_t stride_ = 1;                  // steps between two samples
  std::vector<std::vector<Group>> groups_;  // by batch
  std::vector<std::vector<AlignedFloats>> streams_;

  template <class Run>
  std::vector<Moments> measure(const model::Network& quantized, std::size_t count,
                               const Run& run) const;
};

}  // namespace crosstate::ptq
