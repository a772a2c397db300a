// One programmed chip: the arrays of a mapped network with the digital parts between them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/device/options.h"
#include "crosstate/mapping/mapping.h"

namespace crosstate {

/// Products run on the arrays; activations, gates, residual sums and pooling are digital and equal
/// to those of the network. A converter adds its bias (and, without a gate, the residual stream)
/// before it rounds and saturates; where tiles are summed digitally, and for class scores, columns
/// are read without rounding. With ideal devices and converters as wide as the network's codes,
/// this is Network::evaluate() but for the order of floating-point sums.
class Chip {
 public:
  /// Programs every array. Chips of one seed differ by their number. The mapping must outlive it
  /// and be that of this network and these options.
  Chip(const Network& network, const Mapping& mapping, const DeviceOptions& device,
       const CrossbarOptions& crossbar, std::uint64_t seed, std::uint32_t number);
  ~Chip();
  Chip(Chip&&) noexcept;
  Chip& operator=(Chip&&) noexcept;

  /// Classifies a batch. `sequence` is the number of its first sequence in the data set: read noise
  /// belongs to a sequence, whatever batch it comes in. logits: batch.count x classes if not null.
  BatchResult run(const Batch& batch, std::uint32_t sequence, ThreadPool& pool,
                  std::vector<float>* logits = nullptr) const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate
