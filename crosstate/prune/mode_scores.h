// Importance of single modes of a diagonal system, in closed form.
//
// A mode is x_k = a x_{k-1} + u_k, y_k = c x_k with |a| < 1; its impulse response is c a^k. (The
// output of the network is the real part of y.) Scores are squared norms, so that those of
// different modes add.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "crosstate/model/recurrence.h"

namespace crosstate::prune {

/// sup over frequencies of |c / (1 - a e^-iw)|^2 = |c|^2 / (1 - |a|)^2: the squared H-infinity
/// norm, by which LAST ranks states (Gwak et al., arXiv 2411.02824).
double h_infinity_score(const model::DiscreteMode& mode);

/// sum of |c a^k|^2 = |c|^2 / (1 - |a|^2): the energy of the impulse response, the squared H2 norm.
double energy_score(const model::DiscreteMode& mode);

/// Every score divided by the sum of itself and all larger ones, in the original order: the
/// relative contribution of a part among those that remain when it is the next one to be removed.
/// The largest score of a layer gives 1, so that a common threshold never empties a layer. Zeros
/// stay 0; ties are resolved by position.
std::vector<double> shares_of_rest(std::span<const double> scores);

/// Residues c of the modes with poles `kept` whose response is closest, in the H2 norm, to that of
/// `all`. The normal equations have a Cauchy matrix, slightly regularised if poles nearly coincide.
/// Real if all poles are real.
std::vector<std::complex<double>> refit_outputs(std::span<const model::DiscreteMode> all,
                                                std::span<const std::complex<double>> kept);

}  // namespace crosstate::prune
