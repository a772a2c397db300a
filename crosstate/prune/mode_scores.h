// Importance of single modes of a diagonal system, in closed form.
//
// A mode is x_k = a x_{k-1} + u_k, y_k = c x_k; its impulse response is c a^k. (The output of the
// network is the real part of y.) Scores are squared norms, so that those of different modes add.
// They are finite only for modes that decay, so all are computed with poles that damped() returns.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "crosstate/model/recurrence.h"

namespace crosstate::prune {

/// Least 1 - |a|^2 of a mode, for an energy of at most 2^24 times that of its first output. In
/// binary32, in which networks compute, the rounding of a pole changes 1 - |a|^2 by up to about
/// this much, so that slower modes cannot be told from those that do not decay.
inline constexpr double kLeastDecay = 0x1p-24;

/// A pole with at least kLeastDecay: `a` itself or, if that is too large, `a` times a real factor.
std::complex<double> damped(std::complex<double> a);
std::vector<model::DiscreteMode> damped(std::span<const model::DiscreteMode> modes);

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
