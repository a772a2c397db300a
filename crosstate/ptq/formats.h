// The formats that a search chooses from: for every site of a network the ways to hold its numbers.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "crosstate/quant/options.h"

namespace crosstate::ptq {

/// The options, resolved, without noise on weights and conversions, which only training adds, also
/// if a preset names it. So a residue of the state, which excludes noise of conversions, may be
/// added to any preset.
quant::QuantOptions resolved_without_noise(quant::QuantOptions options);

/// One way to hold the numbers of a site.
struct Choice {
  std::string text;                                 // "5 bits, scales pow2"
  std::function<void(quant::QuantOptions&)> apply;  // to resolved options
  std::size_t ladder = 0;  // choices of one ladder lose more the later they stand
};

struct SiteChoices {
  std::string site;             // "weight", as in quant.weight.bits
  std::vector<Choice> choices;  // the first is where a search starts
};

/// The sites of a network and their choices, with at most `bits` per number and residues that lose
/// next to nothing at the start of a search. Sites whose bits `options` name keep them, and scales
/// named for a site (quant.SITE.scales) stay as they are; quant.weight_scales = free is only where
/// the choices start. `fixed`: all bits are named, by a preset.
std::vector<SiteChoices> site_choices(const quant::QuantOptions& options, bool fixed, bool gated,
                                      int bits);

}  // namespace crosstate::ptq
