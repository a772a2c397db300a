// Sites of CodePanels (code_panels.h) in floating-point lanes, which are exact if the certificate
// proves it (certificate.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/integer/code_panels.h"
#include "crosstate/integer/lanes.h"
#include "crosstate/integer/network.h"

namespace crosstate::integer {

struct LaneMatrix {
  AlignedFloats weight, bias;
  std::size_t rows, columns;
  explicit LaneMatrix(const IntegerMatrix& m)
      : weight(floats(m.weight)), bias(floats(m.bias)), rows(m.rows), columns(m.columns) {}
  void multiply(std::size_t count, kernels::ConstRows x, kernels::Rows y) const {
    kernels::linear_forward(weight.data(), bias.data(), rows, columns, count, x, y);
  }
};

struct LaneBlock {
  AlignedFloats ar, ai, b, cr, ci;
  std::vector<std::int32_t> re, im, out, drive;  // PairedModes
  std::vector<bool> paired;                      // [S]: whether a channel may use them
  LaneFactors output, linear_codes, sum;
  CodeEntries activation, gate;
  LaneMatrix linear;
  std::size_t first_mode;  // index in the network

  LaneBlock(const IntegerNetwork& n, const IntegerBlock& from, std::size_t first);

 private:
  void pair_up(const IntegerNetwork& n, const IntegerBlock& from);
};

/// The network in the form used by lanes, shared by all groups. `n` must outlive it.
struct LaneNetwork {
  const IntegerNetwork& n;
  LaneMatrix encoder;
  LaneFactors encoder_codes;
  std::vector<LaneBlock> blocks;
  std::size_t state_size, pair_size;        // per mode
  std::array<std::uint32_t, kLanes> seeds;  // the same for every sequence

  explicit LaneNetwork(const IntegerNetwork& network);
  /// Whether lanes give the same results as the reference.
  bool exact() const;
};

/// The recurrent states of one group of sequences.
struct LaneStates {
  AlignedFloats state;
  std::vector<std::int32_t, AlignedAllocator<std::int32_t>>
      pairs;  // states of channels in 16-bit lanes
};

/// Sites of one group of sequences; construction sets the states to 0.
class LaneSites {
 public:
  LaneSites(const LaneNetwork& network, LaneStates& states);

  void encode(const Stretch& t, kernels::ConstRows x, kernels::Rows sums) const;
  void enter(std::size_t columns, kernels::Rows h) const;
  void recur(std::size_t l, const Stretch& t, kernels::ConstRows u, kernels::Rows y) const;
  void activate(std::size_t l, std::size_t columns, kernels::Rows y, kernels::ConstRows u) const;
  void linear(std::size_t l, const Stretch& t, kernels::ConstRows a, kernels::Rows z) const;
  void linear_codes(std::size_t l, std::size_t columns, kernels::Rows z) const;
  void gate_codes(std::size_t l, std::size_t columns, kernels::Rows z) const;
  void add_residual(std::size_t l, std::size_t columns, kernels::ConstRows z,
                    kernels::Rows h) const;

 private:
  const LaneNetwork& in_;
  LaneStates& states_;
};

}  // namespace crosstate::integer
