// From the observer of a site's values to the codes that stand for them.
#pragma once

#include "crosstate/model/pass.h"
#include "crosstate/quant/options.h"

namespace crosstate::model {

struct ChosenRange {
  double log_scale = 0;
  int quant_min = 0;
};

/// The range of a resolved activation site with bits > 0. Symmetric codes start at minus the
/// largest code; affine ones hold 0 and 2^bits - 1 other numbers in a row.
ChosenRange choose_range(const quant::ActivationSite& site, const Observer& observer);

/// Whether any site's range needs a histogram.
bool wants_histograms(const quant::QuantOptions& options);

}  // namespace crosstate::model
