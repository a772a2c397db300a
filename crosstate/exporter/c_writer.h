// What the parts of the C code of a network share: types, tables, and the functions that they call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "crosstate/exporter/c_network.h"
#include "crosstate/exporter/c_products.h"
#include "crosstate/exporter/c_requantizers.h"
#include "crosstate/exporter/c_tables.h"
#include "crosstate/exporter/c_text.h"
#include "crosstate/integer/network.h"

namespace crosstate::exporter {

struct NetworkWriter {
  NetworkWriter(const integer::IntegerNetwork& network, const CNetworkOptions& options);

  /// States have a residue.
  bool shaped() const;
  bool stochastic() const;
  bool counts_steps() const { return !n.pool_last || stochastic(); }
  bool rows_fit_32(const integer::IntegerMatrix& matrix, std::int64_t input,
                   std::int64_t extra = 0) const;
  /// The number of channels of a block, as an expression.
  std::string channels() const;

  const integer::IntegerNetwork& n;
  const CNetworkOptions& o;
  Tables block, top;  // constants by block, and those that exist once
  RequantizerWriter requantizers;
  ProductWriter products;
  CType input{}, residual{}, activation{}, state{}, residue{};
  std::size_t modes = 0, most_modes = 0;  // of all blocks, and of a channel
  std::size_t widest = 0;                 // channels of a block
  std::uint64_t longest = 0;              // steps that are pooled; 0: any number
  Reference sizes;                        // channels of a block
  std::size_t at_once = 1;                // channels that advance together on wide vectors
  bool early_scores = false;              // sums over steps lose bits before they become scores
  std::size_t scratch_bytes = 0;          // of arrays on the stack, without those of `products`

 private:
  bool residues_ = false;
};

inline bool fits_32(std::int64_t bound) {
  return bound <= std::numeric_limits<std::int32_t>::max();
}
std::vector<std::int64_t> wide(const auto& values) { return {values.begin(), values.end()}; }
/// "(-3)" for "-3".
inline std::string bracketed(const std::string& text) {
  return text[0] == '-' ? "(" + text + ")" : text;
}

}  // namespace crosstate::exporter
