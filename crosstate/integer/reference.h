// docs/arithmetic.md in plain scalar code, one time step after the other. The specification of
// every other executor; never optimised.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/integer/network.h"

namespace crosstate::integer {

/// The code of a real input: floor(x (1 / scale) + 1/2) in binary32, every operation rounded, held
/// within the format's codes. A NaN becomes the lowest code.
std::int32_t input_code(const CodeFormat& format, float x);

/// What a sequence comes to.
struct IntegerResult {
  std::vector<std::int64_t> scores;  // per class; compare as they are
  std::int64_t count = 1;            // steps that the pool counts
  int shift = 0;                     // may be negative
  /// score 2^-shift / count.
  std::vector<float> logits() const;
  /// The first class of the largest score.
  std::size_t best() const;
};

/// From the sums of the decoder over all steps of a sequence, biases included, to scores.
IntegerResult scored(const IntegerNetwork& network, std::span<const std::int64_t> sums,
                     std::int64_t steps);

/// Largest magnitudes met at each kind of accumulator, for the certificate's tests.
struct AccumulatorPeaks {
  std::int64_t encoder = 0, decoder = 0;
  struct Block {
    std::int64_t state = 0, advance = 0, output = 0, linear = 0;
  };
  std::vector<Block> blocks;
};

/// What sequences make of the codes of a network.
struct CodeUsage {
  struct Site {
    std::int64_t values = 0, clipped = 0;  // clipped: lay beyond the codes
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
    std::vector<std::int64_t> largest;  // [N]: magnitude that the mode's state has reached
  };
  Site input, residual;
  std::vector<Block> blocks;
};

/// How often each input of a product was a code other than 0: what an executor that skips zeros
/// would compute.
struct CodeActivity {
  using Counts = std::vector<std::int64_t>;
  struct Block {
    Counts residual;              // [H] what enters the block
    Counts before_re, before_im;  // [H][M] states that A multiplies
    Counts after_re, after_im;    // [H][M] states that C reads
    Counts activation, gate;      // [H] outputs of the two functions
  };
  Counts input;   // [inputs]
  Counts pooled;  // [H] when scores are read
  std::vector<Block> blocks;
  std::int64_t steps = 0, results = 0;
};

class ReferenceExecutor {
 public:
  explicit ReferenceExecutor(const IntegerNetwork& network);

  /// Forgets the sequence so far.
  void reset();
  /// One time step of input codes, one per input. Throws Error beyond longest_sequence() steps.
  void step(std::span<const std::int32_t> input);
  /// The scores of the steps since reset(); at least one.
  IntegerResult result() const;
  /// A whole sequence of [steps][inputs] reals, from reset(), and what is read of it: a result at
  /// its end or, of a network that is read at every step, one for every step.
  std::vector<IntegerResult> read(std::span<const float> values, std::size_t steps);
  /// The last of these.
  IntegerResult run(std::span<const float> values, std::size_t steps);

  const AccumulatorPeaks& peaks() const { return peaks_; }
  /// Of all steps since construction; `input` of run() alone.
  const CodeUsage& usage() const { return usage_; }
  /// Likewise; `pooled` and `results` of result().
  const CodeActivity& activity() const { return activity_; }

 private:
  struct Part {
    std::int64_t x = 0;
    std::int64_t residue = 0;  // in units of A's last place; 0 without feedback
  };
  struct Mode {
    Part re, im;
  };

  void block(std::size_t l);
  /// Rounds a sum in units of A's last place; `draw`: k of stochastic rounding.
  void round(std::int64_t sum, std::uint32_t draw, Part& part, CodeUsage::Site& site) const;

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
