// What teachers answer to the sequences of a training, computed once for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/train/context.h"

namespace crosstate::train {

/// The mean outputs of a Teacher's networks for batches of a training. Outputs of a sequence depend
/// on nothing else in its batch, and teachers do not learn: where an epoch repeats the sequences of
/// an earlier one, its outputs are remembered, within kMostBytes. The bits are the same either way.
class TeacherOutputs {
 public:
  static constexpr std::size_t kMostBytes = std::size_t{256} << 20;

  /// `sets`: number of training sets of `sequences` rows that the epochs use in turn; 0: every
  /// epoch has its own, and nothing is remembered. The teacher must outlive this object.
  TeacherOutputs(const Teacher& teacher, std::size_t sets, std::size_t sequences);

  /// In the layout of Network::evaluate(), valid until the next call. The batch has the rows `rows`
  /// of set `set`, which is less than `sets` where that is not 0.
  std::span<const float> of(const data::Batch& batch, std::span<const std::uint32_t> rows,
                            std::size_t set, ThreadPool& pool);

 private:
  void compute(const data::Batch& batch, ThreadPool& pool);
  void remember(const data::Batch& batch, std::span<std::vector<float>> known,
                std::span<const std::uint32_t> rows);
  void recall(const data::Batch& batch, std::span<const std::vector<float>> known,
              std::span<const std::uint32_t> rows);

  const Teacher& teacher_;
  std::size_t sequences_;
  std::size_t width_ = 0;                  // outputs of a read
  std::size_t bytes_ = 0;                  // of known_
  std::vector<std::vector<float>> known_;  // [sets * sequences]; empty: not known
  std::vector<float> outputs_, one_;       // mean; of one network
};

}  // namespace crosstate::train
