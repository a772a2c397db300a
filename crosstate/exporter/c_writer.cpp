#include "crosstate/exporter/c_writer.h"

#include <algorithm>
#include <cstdlib>

#include "crosstate/integer/bounds.h"
#include "crosstate/integer/reference.h"
#include "crosstate/kernels/scan.h"

namespace crosstate::exporter {

using integer::IntegerBlock;
using kernels::RoundingMode;

NetworkWriter::NetworkWriter(const integer::IntegerNetwork& network, const CNetworkOptions& options)
    : n(network), o(options), block(network.blocks.size(), "b"), top(1, "") {
  input = smallest_type(n.input.quant_min, n.input.quant_max);
  residual = smallest_type(n.residual.quant_min, n.residual.quant_max);
  state = smallest_type(-n.state_limit, n.state_limit);
  std::int64_t low = 0, high = 0, most_residue = 0;
  std::vector<std::int64_t> counts;
  for (const IntegerBlock& b : n.blocks) {
    counts.push_back(static_cast<std::int64_t>(b.shape.size()));
    low = std::min<std::int64_t>(low, b.activation.quant_min);
    high = std::max<std::int64_t>(high, b.activation.quant_max);
    for (const int bits : b.residue_bits) most_residue = std::max<std::int64_t>(most_residue, bits);
    modes += b.shape.modes();
    widest = std::max(widest, b.shape.size());
    for (std::size_t s = 0; s < b.shape.size(); ++s) {
      most_modes = std::max(most_modes, b.shape.modes(s));
    }
  }
  sizes = block.scalar("channels", counts);
  activation = smallest_type(low, high);
  residues_ = most_residue > 0;
  const std::int64_t half = std::int64_t{1} << std::max<std::int64_t>(0, most_residue - 1);
  residue = smallest_type(-half, half - 1);
  if (!n.pool_last) {
    const std::int64_t most = std::numeric_limits<std::int32_t>::max() /
                              std::max<std::int64_t>(1, integer::magnitude(n.residual));
    longest = static_cast<std::uint64_t>(std::min(most, integer::longest_sequence(n)));
  }
}

bool NetworkWriter::shaped() const {
  return n.state_rounding == RoundingMode::kNoiseShaped && residues_;
}

bool NetworkWriter::stochastic() const { return n.state_rounding == RoundingMode::kStochastic; }

bool NetworkWriter::rows_fit_32(const integer::IntegerMatrix& m, std::int64_t value,
                                std::int64_t extra) const {
  for (std::size_t row = 0; row < m.rows; ++row) {
    if (!fits_32(integer::row_bound(m, row, value) + extra)) return false;
  }
  return true;
}

std::string NetworkWriter::channels() const {
  return sizes.is_literal ? sizes.text + "u" : "(size_t)" + sizes.text;
}

}  // namespace crosstate::exporter
