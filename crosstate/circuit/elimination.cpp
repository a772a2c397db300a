#include "crosstate/circuit/elimination.h"

#include <algorithm>

namespace crosstate {
namespace {

using Eigen::Index;

// One node after the other, each spread over all that remain.
void eliminate_small(Network& g, Index inner) {
  const Index n = g.rows();
  for (Index p = 0; p < inner; ++p) {
    const double* pivot = &g(0, p);
    double sum = 0;
    for (Index i = p + 1; i < n; ++i) sum += pivot[i];
    if (sum == 0) continue;  // connected to nothing
    for (Index j = p + 1; j < n; ++j) {
      const double share = pivot[j] / sum;
      if (share == 0) continue;
      double* column = &g(0, j);
      for (Index i = j; i < n; ++i) column[i] += share * pivot[i];
    }
  }
}

// Brings the columns first..last up to date with each other; shares: [n - first][last - first],
// each node's share in the conductance of each of them.
void eliminate_panel(Network& g, Index first, Index last, Network& shares) {
  const Index n = g.rows();
  shares.resize(n - first, last - first);
  for (Index p = first; p < last; ++p) {
    const Index below = n - p - 1, before = p - first;
    auto column = g.col(p).tail(below);
    if (before > 0) {
      column.noalias() +=
          g.block(p + 1, first, below, before) * shares.row(before).head(before).transpose();
    }
    const double sum = column.sum();
    shares.col(before).tail(below) = sum > 0 ? (column / sum).eval() : column.eval();
  }
}

// The same by panels of nodes, whose effect on the rest is one product of matrices.
void eliminate_by_panels(Network& g, Index inner) {
  constexpr Index kPanel = 32;
  const Index n = g.rows();
  Network shares;
  for (Index first = 0; first < inner; first += kPanel) {
    const Index last = std::min(inner, first + kPanel), rest = n - last;
    eliminate_panel(g, first, last, shares);
    g.bottomRightCorner(rest, rest).triangularView<Eigen::Lower>() +=
        g.block(last, first, rest, last - first) * shares.bottomRows(rest).transpose();
  }
}

}  // namespace

Network eliminate(Network network, Index inner) {
  constexpr Index kFewNodes = 64;
  if (network.rows() <= kFewNodes) {
    eliminate_small(network, inner);
  } else {
    eliminate_by_panels(network, inner);
  }
  const Index rest = network.rows() - inner;
  return network.bottomRightCorner(rest, rest);
}

}  // namespace crosstate
