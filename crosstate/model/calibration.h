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
/// largest code; affine codes are 2^bits consecutive integers that include 0. The observer has seen
/// values, all of them finite, and has a histogram if wants_histogram().
ChosenRange choose_range(const quant::ActivationSite& site, const Observer& observer);

/// Whether the range of a site, or of any site, requires a histogram.
bool wants_histogram(const quant::ActivationSite& site);
bool wants_histograms(const quant::QuantOptions& options);

}  // namespace crosstate::model
