// Fast executors of an integer network: whole batches, and one endless sequence. Both are
// bit-identical to reference.h. They use floating-point lanes if a certificate proves that these
// are exact, and the reference otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/integer/network.h"
#include "crosstate/integer/reference.h"

namespace crosstate::integer {

/// Processes sixteen sequences in parallel, as in training.
class IntegerEngine {
 public:
  explicit IntegerEngine(const IntegerNetwork& network);
  ~IntegerEngine();
  IntegerEngine(IntegerEngine&&) noexcept;

  /// One result per sequence of the batch or, of a network that is read at every step, one per step
  /// (data::first_reads()); the same on any number of threads. Throws Error for a
  /// batch of another number of channels, or longer than longest_sequence().
  std::vector<IntegerResult> run(const data::Batch& batch, ThreadPool& pool) const;
  /// Whether lanes are used rather than the reference.
  bool vectorised() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

/// One sequence, step by step, in constant memory; lanes are channels.
class IntegerStream {
 public:
  explicit IntegerStream(const IntegerNetwork& network);
  ~IntegerStream();
  IntegerStream(IntegerStream&&) noexcept;

  void reset();
  /// Processes one time step of real inputs, or of their codes, one per input. Throws Error for
  /// another number of values, for a code that the format of the input does not have, and after
  /// longest_sequence() steps since reset(), when the sum could overflow.
  void step(std::span<const float> input);
  void step_codes(std::span<const std::int32_t> input);
  /// Scores of the steps since reset(), at least one; with IntegerNetwork::every_step, of the last.
  IntegerResult result() const;
  /// Bytes that a step reads and writes, including weights and tables.
  std::size_t bytes() const;
  bool vectorised() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::integer
