#include "crosstate/integer/lane_sites.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "crosstate/integer/certificate.h"
#include "crosstate/kernels/paired_scan.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/kernels/state_draws.h"

namespace crosstate::integer {
namespace {

// The recurrence of a channel in 16-bit lanes is exact for sums below these.
constexpr double kPairedExact = 1 << 30, kWord = std::numeric_limits<std::int16_t>::max();

}  // namespace

LaneBlock::LaneBlock(const IntegerNetwork& n, const IntegerBlock& from, std::size_t first)
    : cr(floats(from.cr)),
      ci(floats(from.ci)),
      // D u is added in the second product.
      output(from.output, from.shape.size(), n.residual, from.d),
      linear_codes(from.linear_codes, n.linear_outputs()),
      sum(from.sum, n.channels, n.residual),
      activation(from.activation_table),
      gate(from.gate_table),
      linear(from.linear_map),
      first_mode(first) {
  for (const std::int16_t a : from.ar) ar.push_back(quant::pole_value(a));
  for (const std::int16_t a : from.ai) ai.push_back(quant::pole_value(a));
  for (const std::int32_t bits : from.input_shift) b.push_back(quant::gain_value(bits));
  pair_up(n, from);
}

void LaneBlock::pair_up(const IntegerNetwork& n, const IntegerBlock& from) {
  const auto negative = [](std::int16_t v) { return static_cast<std::int16_t>(-v); };
  const double limit = n.state_limit;
  const double input = double{largest_magnitude(n.residual)};
  const bool shaped = n.state_rounding == kernels::RoundingMode::kNoiseShaped;
  const double offset = 1 << (kernels::kPairedFraction + (shaped ? 2 : 0));
  std::vector<double> sums;
  for (std::size_t i = 0; i < from.ar.size(); ++i) {
    const std::int16_t r = from.ar[i], m = n.complex ? from.ai[i] : std::int16_t{0};
    re.push_back(kernels::pair_of(r, negative(m)));
    im.push_back(kernels::pair_of(m, r));
    out.push_back(kernels::pair_of(from.cr[i], n.complex ? negative(from.ci[i]) : std::int16_t{0}));
    const std::int32_t bits = from.input_shift[i];
    const auto gain = static_cast<std::int16_t>(bits <= kernels::kPairedFraction ? 1 << bits : 0);
    drive.push_back(kernels::pair_of(gain, 1 << (kernels::kPairedFraction - 1)));
    sums.push_back(gain == 0 ? kPairedExact
                             : 2 * ((std::abs(r) + std::abs(m)) * limit + gain * input) + offset);
  }
  for (std::size_t s = 0; s < from.shape.size(); ++s) {
    double most = 0;
    for (std::size_t i = from.shape.first[s]; i < from.shape.first[s + 1]; ++i) {
      most = std::max(most, sums[i]);
    }
    paired.push_back(n.state_rounding != kernels::RoundingMode::kStochastic &&
                     most < kPairedExact && std::max(input, limit) <= kWord);
  }
}

LaneNetwork::LaneNetwork(const IntegerNetwork& network)
    : n(network),
      encoder(n.encoder),
      encoder_codes(n.encoder_codes, n.channels),
      state_size(kernels::scan_state_size(1, n.state_rounding)),
      pair_size(
          kernels::paired_state_size(1, n.state_rounding == kernels::RoundingMode::kNoiseShaped)) {
  seeds.fill(kernels::kDeployedSeed);
  for (const IntegerBlock& b : n.blocks) blocks.emplace_back(n, b, n.first_mode(blocks.size()));
}

bool LaneNetwork::exact() const {
  const auto is_paired = [](const LaneBlock& b) {
    return std::all_of(b.paired.begin(), b.paired.end(), [](bool paired) { return paired; });
  };
  const bool floats = !std::all_of(blocks.begin(), blocks.end(), is_paired);
  return exact_in_float(n, /*states=*/floats);
}

LaneSites::LaneSites(const LaneNetwork& network, LaneStates& states)
    : in_(network), states_(states) {
  const std::size_t modes = in_.n.first_mode(in_.blocks.size());
  states_.state.assign(modes * in_.state_size, 0);
  states_.pairs.assign(modes * in_.pair_size, 0);
}

void LaneSites::encode(const Stretch& t, kernels::ConstRows x, kernels::Rows sums) const {
  in_.encoder.multiply(t.columns(), x, sums);
}

void LaneSites::enter(std::size_t columns, kernels::Rows h) const {
  kernels::requantize_rows(in_.encoder_codes.to(in_.n.residual), in_.n.channels, columns, h, h, h);
}

void LaneSites::recur(std::size_t l, const Stretch& t, kernels::ConstRows u,
                      kernels::Rows y) const {
  const LaneBlock& b = in_.blocks[l];
  const model::BlockShape& shape = in_.n.blocks[l].shape;
  const bool complex = in_.n.complex;
  const std::vector<std::uint8_t>& residue_bits = in_.n.blocks[l].residue_bits;
  for (std::size_t s = 0; s < shape.size(); ++s) {
    const std::size_t at = shape.first[s], mode = b.first_mode + at;
    const std::uint8_t* const residues = residue_bits.empty() ? nullptr : residue_bits.data() + at;
    if (b.paired[s]) {
      const kernels::PairedModes modes{shape.modes(s),    b.re.data() + at,    b.im.data() + at,
                                       b.out.data() + at, b.drive.data() + at, residues};
      kernels::paired_scan(modes, static_cast<std::int16_t>(in_.n.state_limit), t.steps, u.row(s),
                           y.row(s), states_.pairs.data() + mode * in_.pair_size);
      continue;
    }
    const kernels::ScanModes modes{
        shape.modes(s),  b.ar.data() + at, complex ? b.ai.data() + at : nullptr,
        b.b.data() + at, b.cr.data() + at, complex ? b.ci.data() + at : nullptr};
    const kernels::DrawAddress draws{in_.seeds.data(), static_cast<std::uint32_t>(mode),
                                     static_cast<std::uint32_t>(t.start)};
    kernels::StateRounding rounding{static_cast<float>(in_.n.state_limit), in_.n.state_rounding,
                                    draws};
    rounding.residue_bits = residues;
    kernels::scan_forward(modes, rounding, t.steps, u.row(s), y.row(s),
                          states_.state.data() + mode * in_.state_size);
  }
}

void LaneSites::activate(std::size_t l, std::size_t columns, kernels::Rows y,
                         kernels::ConstRows u) const {
  const IntegerBlock& from = in_.n.blocks[l];
  const kernels::LaneTable table = in_.blocks[l].activation.lanes();
  kernels::requantize_rows(in_.blocks[l].output.to(from.ssm_output, &table), from.shape.size(),
                           columns, y, u, y);
}

void LaneSites::linear(std::size_t l, const Stretch& t, kernels::ConstRows a,
                       kernels::Rows z) const {
  in_.blocks[l].linear.multiply(t.columns(), a, z);
}

void LaneSites::linear_codes(std::size_t l, std::size_t columns, kernels::Rows z) const {
  kernels::requantize_rows(in_.blocks[l].linear_codes.to(in_.n.blocks[l].linear), in_.n.channels,
                           columns, z, z, z);
}

void LaneSites::gate_codes(std::size_t l, std::size_t columns, kernels::Rows z) const {
  const kernels::LaneTable table = in_.blocks[l].gate.lanes();
  const std::size_t H = in_.n.channels;
  kernels::requantize_rows(in_.blocks[l].linear_codes.to(in_.n.blocks[l].linear, &table, H), H,
                           columns, z, z, z);
}

void LaneSites::add_residual(std::size_t l, std::size_t columns, kernels::ConstRows z,
                             kernels::Rows h) const {
  kernels::requantize_rows(in_.blocks[l].sum.to(in_.n.residual), in_.n.channels, columns, z, h, h);
}

}  // namespace crosstate::integer
