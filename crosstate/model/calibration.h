// Chooses codes for the observed values of a site.
#pragma once

#include "crosstate/model/pass.h"
#include "crosstate/quant/options.h"

namespace crosstate::model {

struct ChosenRange {
  double log_scale = 0;
  int quant_min = 0;
};

/// The range of a resolved activation site with bits > 0. Symmetric codes start at minus the
/// largest code; affine codes are 2^bits consecutive integers that include 0.
ChosenRange choose_range(const quant::ActivationSite& site, const Observer& observer);

/// Whether the range of any site requires a histogram.
bool wants_histograms(const quant::QuantOptions& options);

}  // namespace crosstate::model
