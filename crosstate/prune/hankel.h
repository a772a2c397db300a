// Balanced truncation of the diagonal system of one channel.
//
// With x_k = A x_{k-1} + u_k, y_k = c x_k and A diagonal, the Lyapunov equations have closed forms:
// P_ij = 1 / (1 - a_i conj(a_j)) and Q_ij = conj(c_i) c_j / (1 - conj(a_i) a_j). The Hankel
// singular values are the square roots of the eigenvalues of P Q; a system of the first r balanced
// states differs by at most twice the sum of the rest, in the H-infinity norm (Glover 1984; Enns
// 1984). Pairs of conjugate modes are treated as one complex system, of whose output the network
// uses the real part; the bound holds for that as well. Poles are damped() (mode_scores.h), since
// the Gramians exist only if every mode decays.
#pragma once

#include <span>
#include <vector>

#include "crosstate/model/recurrence.h"

namespace crosstate::prune {

/// Hankel singular values in descending order, one per mode.
std::vector<double> hankel_singular_values(std::span<const model::DiscreteMode> modes);

/// Reduces a system to `count` modes by balanced truncation and diagonalisation, with |a| < 1.
/// Returns an empty result if the reduced system can only be diagonalised with residues that cancel
/// each other, which rounding would destroy.
std::vector<model::DiscreteMode> truncate_balanced(std::span<const model::DiscreteMode> modes,
                                                   std::size_t count);

}  // namespace crosstate::prune
