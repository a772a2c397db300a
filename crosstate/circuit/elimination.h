// Elimination of inner nodes from a network of conductances.
#pragma once

#include <Eigen/Core>

namespace crosstate {

/// Conductances in siemens between the nodes of a network, none negative: the entries below the
/// diagonal. What is on and above it has no meaning.
using Network = Eigen::MatrixXd;

/// The network that looks the same from the nodes behind the first `inner` ones, which disappear.
///
/// This is the Schur complement of the nodal matrix, whose diagonal is the sum of a node's
/// conductances. Summing it up where it is needed, instead of carrying it along, leaves nothing but
/// sums, products and quotients of positive numbers (Grassmann, Taksar and Heyman 1985), so that
/// each result keeps its relative accuracy even where conductances differ by ten powers of ten.
Network eliminate(Network network, Eigen::Index inner);

}  // namespace crosstate
