// docs/arithmetic.md in plain scalar code, one time step at a time. It is the specification of
// every other executor and is never optimised.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/integer/network.h"

namespace crosstate::integer {

/// The code of a real input: floor(x (1 / scale) + 1/2) in binary32, every operation rounded,
/// clamped to the codes of the format. NaN becomes the lowest code.
std::int32_t input_code(const CodeFormat& format, float x);

/// Result of a sequence.
struct IntegerResult {
  std::vector<std::int64_t> scores;  // per class; comparable without conversion
  std::int64_t count = 1;            // number of pooled steps
  int shift = 0;                     // may be negative
  /// The scores times 2^-shift / count.
  std::vector<float> logits() const;
  /// Index of the first largest score.
  std::size_t best() const;
};

/// Converts the sums of the decoder over all steps of a sequence, including biases, to scores.
IntegerResult scored(const IntegerNetwork& network, std::span<const std::int64_t> sums,
                     std::int64_t steps);

/// Largest observed magnitudes of each kind of accumulator, for the tests of the certificate.
struct AccumulatorPeaks {
  std::int64_t encoder = 0, decoder = 0;
  struct Block {
    std::int64_t state = 0, advance = 0, output = 0, linear = 0;
  };
  std::vector<Block> blocks;
};

/// Statistics of the codes of a network over sequences.
struct CodeUsage {
  struct Site {
    std::int64_t values = 0, clipped = 0;  // clipped: outside the range of the codes
    void add(bool beyond) {
      ++values;
      clipped += beyond ? 1 : 0;
    }
    double saturation() const {
      return values > 0 ? static_cast<double>(clipped) / static_cast<double>(values) : 0;
    }
  };
  struct Block {
    Site state, ssm_output, linear;
    std::vector<std::int64_t> largest;  // [N]: largest magnitude of the state of the mode
  };
  Site input, residual;
  std::vector<Block> blocks;
};

/// Numbers of non-zero inputs of products: the operations of an executor that skips zeros.
struct CodeActivity {
  using Counts = std::vector<std::int64_t>;
  struct Block {
    Counts residual;              // [H] input of the block
    Counts before_re, before_im;  // [H][M] states multiplied by A
    Counts after_re, after_im;    // [H][M] states multiplied by C
    Counts activation, gate;      // [H] outputs of the two functions
  };
  Counts input;   // [inputs]
  Counts pooled;  // [H] when scores are computed
  std::vector<Block> blocks;
  std::int64_t steps = 0, results = 0;
};

class ReferenceExecutor {
 public:
  explicit ReferenceExecutor(const IntegerNetwork& network);

  /// Discards the present sequence.
  void reset();
  /// Processes one time step of input codes, one per input, which must be codes of the format.
  /// Throws Error beyond longest_sequence() steps.
  void step(std::span<const std::int32_t> input);
  /// Scores of the steps since reset(); requires at least one step.
  IntegerResult result() const;
  /// Runs a whole sequence of [steps][inputs] reals from reset() and returns its results: one at
  /// the end or, with outputs at every step, one for every step.
  std::vector<IntegerResult> read(std::span<const float> values, std::size_t steps);
  /// The last of these results.
  IntegerResult run(std::span<const float> values, std::size_t steps);

  const AccumulatorPeaks& peaks() const { return peaks_; }
  /// Over all steps since construction; `input` only in run().
  const CodeUsage& usage() const { return usage_; }
  /// Likewise; `pooled` and `results` only in result().
  const CodeActivity& activity() const { return activity_; }

 private:
  struct Part {
    std::int64_t x = 0;
    std::int64_t residue = 0;  // in units of A's last place; 0 unless the state is noise-shaped
  };
  struct Mode {
    Part re, im;
  };

  void block(std::size_t l);
  /// Rounds a sum in units of the last place of A; `draw`: k of stochastic rounding;
  /// `residue_bits`: for a noise-shaped state.
  void round(std::int64_t sum, std::uint32_t draw, int residue_bits, Part& part,
             CodeUsage::Site& site) const;

  const IntegerNetwork& n_;
  std::vector<std::vector<Mode>> state_;  // [layer][N]
  std::vector<std::int32_t> h_;           // [H]
  std::vector<std::int64_t> pooled_;      // [H]
  std::int64_t steps_ = 0, longest_;
  mutable AccumulatorPeaks peaks_;
  CodeUsage usage_;
  mutable CodeActivity activity_;
};

}  // namespace crosstate::integer
