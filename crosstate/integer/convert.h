// From a quantized network to its integers.
#pragma once

#include "crosstate/integer/network.h"
#include "crosstate/model/network.h"

namespace crosstate::integer {

/// The integer meaning of a quantized network whose norms are folded and whose every site is
/// rounded. Evaluating the network gives the same logits bit for bit where all scales are powers of
/// two (and sums stay below 2^24, see certificate.h); with free scales, multipliers of 24 bits
/// stand for them, and a value next to a tie may differ. Throws Error naming the first site that is
/// not rounded, or a scale beyond what multipliers hold.
IntegerNetwork to_integers(const model::Network& network);

/// The first site that keeps a network from being integers, as "quant.state.bits = 0", or "".
std::string site_in_floating_point(const model::Network& network);
/// Likewise of resolved options, before there is a network; `gated`: whether it would have gates.
std::string site_in_floating_point(const quant::QuantOptions& quant, bool gated);

}  // namespace crosstate::integer
