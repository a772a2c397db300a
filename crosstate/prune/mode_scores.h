// Importance of single modes of a diagonal system, in closed form.
//
// A mode is x_k = a x_{k-1} + u_k, y_k = c x_k with |a| < 1, its impulse response c a^k. (The
// network's output is the real part of y.) Measures are squared norms, so that those of different
// modes add up.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "crosstate/model/recurrence.h"

namespace crosstate::prune {

/// sup over frequencies of |c / (1 - a e^-iw)|^2 = |c|^2 / (1 - |a|)^2: the H-infinity norm, by
/// which LAST ranks states (Gwak et al., arXiv 2411.02824).
double h_infinity_score(const model::DiscreteMode& mode);

/// sum of |c a^k|^2 = |c|^2 / (1 - |a|^2): the energy of the impulse response, the H2 norm.
double energy_score(const model::DiscreteMode& mode);

/// Every score divided by the sum of itself and all larger ones, in the original order: the
/// relative contribution of a part among those that remain when it is the next one to remove. The
/// largest of a layer has 1, so that one threshold for all layers empties none. Zeros stay 0; ties
/// go by place.
std::vector<double> shares_of_rest(std::span<const double> scores);

/// Residues c of the modes with poles `kept` whose response is nearest, in the H2 norm, to that of
/// `all`: the normal equations are a Cauchy matrix, lightly regularised where poles nearly
/// coincide. Real where all are.
std::vector<std::complex<double>> refit_outputs(std::span<const model::DiscreteMode> all,
                                                std::span<const std::complex<double>> kept);

}  // namespace crosstate::prune
