#include "crosstate/cost/price.h"

#include "crosstate/cost/arrays.h"
#include "crosstate/cost/operations.h"

namespace crosstate::cost {

Deployment deployment(const inference::Model& model) {
  const inference::Model folded = model.folded();
  return folded.network() != nullptr ? deployment(*folded.network())
                                     : deployment(folded.integers());
}

Estimate price(const inference::Model& model, const Technology& target, std::uint64_t steps,
               const crossbar::CrossbarOptions& crossbar, const EstimateOptions& options,
               const Technology* accelerator) {
  if (target.kind != TargetKind::kCrossbar) {
    const Deployment sizes = deployment(model);
    return estimate(sizes, count_operations(sizes, steps), target, options);
  }
  return estimate_on_crossbars(model.folded().integers(), steps, with_arrays(target, options),
                               crossbar, options, accelerator);
}

}  // namespace crosstate::cost
