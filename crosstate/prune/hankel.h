// Balanced truncation of one channel's diagonal system.
//
// With x_k = A x_{k-1} + u_k, y_k = c x_k and A diagonal, the Lyapunov equations have closed forms:
// P_ij = 1 / (1 - a_i conj(a_j)) and Q_ij = conj(c_i) c_j / (1 - conj(a_i) a_j). The Hankel
// singular values are the square roots of the eigenvalues of P Q; a system of the first r balanced
// states differs by at most twice the sum of the rest, in the H-infinity norm (Glover 1984; Enns
// 1984). Pairs of conjugate modes are seen as one complex system, of whose output the network takes
// the real part; the bound holds for that too.
#pragma once

#include <span>
#include <vector>

#include "crosstate/model/recurrence.h"

namespace crosstate::prune {

/// Descending, one per mode.
std::vector<double> hankel_singular_values(std::span<const model::DiscreteMode> modes);

/// `count` modes in place of more, by balanced truncation and diagonalisation, with |a| < 1. Empty
/// where the reduced system cannot be diagonalised without residues that cancel each other, which
/// no rounding would survive.
std::vector<model::DiscreteMode> truncate_balanced(std::span<const model::DiscreteMode> modes,
                                                   std::size_t count);

}  // namespace crosstate::prune
