// One programmed chip: the arrays of a mapped network with the digital parts between them.
#pragma once

#include <cstddef>
#include <cstdint>
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

/// Scores of a sequence, one per output, as in IntegerResult, but not whole numbers on a chip that
/// is not ideal.
struct ChipResult {
  std::vector<double> scores;
  std::int64_t count = 1;
  int shift = 0;  // may be negative
  /// score 2^-shift / count.
  std::vector<float> logits() const;
  /// The first of the largest scores.
  std::size_t best() const;
};

/// Products run on the arrays; activations, gates, residual sums and pooling are digital and those
/// of the integer network (docs/arithmetic.md). A converter adds what is known digitally, its bias,
/// the skip D u, the state so far, and then rounds and saturates to the code that follows: it *is*
/// the requantizer. With ideal devices, wires and converters the scores are those of the integer
/// network, bit for bit.
class Chip {
 public:
  /// Programs every array. Chips of one seed differ by their number. The mapping must outlive it
  /// and be that of this network and target. With a backend, which must outlive it too, its cells
  /// take the place of those of the target, whatever target.external says.
  Chip(const integer::IntegerNetwork& network, const mapping::Mapping& mapping,
       const crossbar::Target& target, std::uint64_t seed, std::uint32_t number,
       hardware::Backend* backend = nullptr);
  ~Chip();
  Chip(Chip&&) noexcept;
  Chip& operator=(Chip&&) noexcept;

  /// The chip `seconds` after programming, compensated anew if the target does so. One chip grows
  /// older: it passes through the same states whatever the steps. Throws Error for a time before
  /// its present one.
  void age_to(double seconds);
  /// Chooses the ranges of calibrated converters by the sums of a batch.
  void calibrate(const data::Batch& batch);

  /// The results of a batch. `sequence` is the number of its first sequence in the data set: read
  /// noise belongs to a sequence, whatever batch it comes in. Throws Error for a batch of another
  /// number of channels.
  std::vector<ChipResult> run(const data::Batch& batch, std::uint32_t sequence,
                              ThreadPool& pool) const;

  /// The states of the batch's first sequence: [steps][layers][channels][modes][2] codes.
  std::vector<float> state_path(const data::Batch& batch, std::uint32_t sequence) const;

  const std::vector<crossbar::ProgrammedArray>& arrays() const;
  /// Cells of all arrays with their history, and back, without a backend. restore() throws Error
  /// for tensors that are not those of a chip of this mapping, target and seed.
  formats::Safetensors save() const;
  void restore(const formats::Safetensors& content, const std::string& where);

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::simulate
