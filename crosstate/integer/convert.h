// Conversion of a quantized network to an integer network.
#pragma once

#include "crosstate/integer/network.h"
#include "crosstate/model/network.h"

namespace crosstate::integer {

/// Converts a quantized network whose norms are folded and whose sites are all quantized. If all
/// scales are powers of two (and sums stay below 2^24, see certificate.h), the network computes
/// bit-identical logits. Free scales are approximated by 24-bit multipliers, so values next to a
/// tie may differ. Throws Error naming the first site that is not quantized, or a scale out of the
/// range of multipliers.
IntegerNetwork to_integers(const model::Network& network);

/// The first site that prevents the conversion, for example "quant.state.bits = 0", or "".
std::string site_in_floating_point(const model::Network& network);
/// The same for resolved options without a network; `gated`: whether the network would have gates.
std::string site_in_floating_point(const quant::QuantOptions& quant, bool gated);

}  // namespace crosstate::integer
