// One programmed chip: the arrays of a mapped network and the digital parts between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/crossbar/array.h"
#include "crosstate/data/batch.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/integer/network.h"
#include "crosstate/mapping/mapping.h"

namespace crosstate::simulate {

/// Scores of a sequence or a step, one per output, as in IntegerResult; on a chip that is not ideal
/// they are not integers.
struct ChipResult {
  std::vector<double> scores;
  std::int64_t count = 1;
  int shift = 0;  // may be negative
  /// The scores times 2^-shift / count.
  std::vector<float> logits() const;
  /// Index of the first largest score.
  std::size_t best() const;
};

/// Products are computed by the arrays; activations, gates, residual sums and pooling are digital,
/// as in the integer network (docs/arithmetic.md). A converter adds the digital terms (its bias,
/// the skip D u, the previous state), then rounds and saturates to the next code: it *is* the
/// requantizer. With ideal devices, wires and converters the scores are bit-identical to those of
/// the integer network.
class Chip {
 public:
  /// Programs every array. Chips with the same seed differ by their number. The mapping must
  /// outlive the chip and belong to this network and target. With a backend, which must outlive the
  /// chip too, its cells replace those of the target, regardless of target.external. With a pool,
  /// arrays without a backend are programmed in parallel, with the same result; so are they aged.
  Chip(const integer::IntegerNetwork& network, const mapping::Mapping& mapping,
       const crossbar::Target& target, std::uint64_t seed, std::uint32_t number,
       hardware::Backend* backend = nullptr, ThreadPool* pool = nullptr);
  ~Chip();
  Chip(Chip&&) noexcept;
  Chip& operator=(Chip&&) noexcept;

  /// Advances the chip to `seconds` after programming, and repeats compensation if the target uses
  /// it. The state at an age does not depend on the steps by which it was reached. Throws Error for
  /// a time before the present age.
  void age_to(double seconds, ThreadPool* pool = nullptr);
  /// Chooses the ranges of calibrated converters from the sums of a batch.
  void calibrate(const data::Batch& batch);

  /// The results of a batch: one per sequence or, if the network is read at every step, one per
  /// step of each sequence (data::first_reads()). `sequence` is the index of its first sequence in
  /// the data set: read noise depends on the sequence, not on its batch. Throws Error for a batch
  /// with another number of channels. Returns nothing if `stop`, called by all threads of the pool,
  /// returned true.
  std::vector<ChipResult> run(const data::Batch& batch, std::uint32_t sequence, ThreadPool& pool,
                              const std::function<bool()>& stop = {}) const;

  /// The states of the first sequence of the batch: codes [steps][layers][channels][modes][2].
  std::vector<float> state_path(const data::Batch& batch, std::uint32_t sequence) const;

  const std::vector<crossbar::ProgrammedArray>& arrays() const;
  /// Saves and restores the cells of all arrays with their history; without a backend. restore()
  /// throws Error for tensors that are not from a chip of this mapping, target and seed.
  formats::Safetensors save() const;
  void restore(const formats::Safetensors& content, const std::string& where);

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::simulate
