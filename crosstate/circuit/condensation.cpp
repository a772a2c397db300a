#include "crosstate/circuit/condensation.h"

#include <algorithm>
#include <array>
#include <utility>

#include "crosstate/base/eigen.h"

namespace crosstate::circuit {
namespace {

using Eigen::Index;

// --- elimination of inner nodes
// ------------------------------------------------------------------------

// Conductances in siemens between the nodes of a network, all non-negative: the strict lower
// triangle. The diagonal and the upper triangle are unused.
using Conductances = Eigen::MatrixXd;

// Eliminates nodes one by one; each is distributed over all that remain.
void eliminate_small(Conductances& g, Index inner) {
  const Index n = g.rows();
  for (Index p = 0; p < inner; ++p) {
    const double* pivot = &g(0, p);
    double sum = 0;
    for (Index i = p + 1; i < n; ++i) sum += pivot[i];
    if (sum == 0) continue;  // not connected
    for (Index j = p + 1; j < n; ++j) {
      const double share = pivot[j] / sum;
      if (share == 0) continue;
      double* column = &g(0, j);
      for (Index i = j; i < n; ++i) column[i] += share * pivot[i];
    }
  }
}

// Updates columns first..last with each other; shares: [n - first][last - first], the share of each
// node in the conductance of each of them.
void eliminate_panel(Conductances& g, Index first, Index last, Conductances& shares) {
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

// The same by panels of nodes, whose effect on the rest is one matrix product.
void eliminate_by_panels(Conductances& g, Index inner) {
  constexpr Index kPanel = 32;
  const Index n = g.rows();
  Conductances shares;
  for (Index first = 0; first < inner; first += kPanel) {
    const Index last = std::min(inner, first + kPanel), rest = n - last;
    eliminate_panel(g, first, last, shares);
    g.bottomRightCorner(rest, rest).triangularView<Eigen::Lower>() +=
        g.block(last, first, rest, last - first) * shares.bottomRows(rest).transpose();
  }
}

// The equivalent network between the nodes after the first `inner` ones, which are eliminated.
//
// This is the Schur complement of the nodal matrix, whose diagonal is the sum of the conductances
// of a node. Computing this sum where it is needed, instead of updating it, uses only sums,
// products and quotients of positive numbers (Grassmann, Taksar and Heyman 1985), so each result
// keeps its relative accuracy even if conductances differ by ten orders of magnitude.
Conductances eliminate(Conductances network, Index inner) {
  constexpr Index kFewNodes = 64;
  if (network.rows() <= kFewNodes) {
    eliminate_small(network, inner);
  } else {
    eliminate_by_panels(network, inner);
  }
  const Index rest = network.rows() - inner;
  return network.bottomRightCorner(rest, rest);
}

// --- blocks of cells
// -----------------------------------------------------------------------------------

enum Side { kLeft, kRight, kTop, kBottom, kSides };

// A rectangle of cells, represented by the nodes at its borders:
// - left: the left ends of the word line segments before its first column,
// - right: the word line nodes of its last column,
// - top: the bit line nodes of its first row,
// - bottom: the lower ends of the bit line segments after its last row.
// At the right and at the top edge of the array nothing is connected to these nodes, so they are
// inner ones.
struct Block {
  std::array<Index, kSides> count = {};  // nodes on each side
  Conductances network;                  // between these nodes, in this order

  Index first(int side) const {
    Index at = 0;
    for (int s = 0; s < side; ++s) at += count[static_cast<std::size_t>(s)];
    return at;
  }
};

// Indices of the nodes of each side of a block in a larger network.
using Places = std::array<Index, kSides>;

// Adds the conductances of one block to the larger network.
void place(const Block& block, const Places& places, Conductances& network) {
  for (std::size_t s = 0; s < kSides; ++s) {
    for (std::size_t t = 0; t <= s; ++t) {
      const Index row = block.first(static_cast<int>(s)), column = block.first(static_cast<int>(t));
      const bool stays_below = places[s] >= places[t];
      for (Index j = 0; j < block.count[t]; ++j) {
        const double* from = &block.network(0, column + j) + row;
        const Index start = s == t ? j + 1 : 0;
        if (stays_below) {
          double* to = &network(0, places[t] + j) + places[s];
          for (Index i = start; i < block.count[s]; ++i) to[i] += from[i];
        } else {
          for (Index i = start; i < block.count[s]; ++i) {
            network(places[t] + j, places[s] + i) += from[i];
          }
        }
      }
    }
  }
}

// Joins two blocks at `inner` common nodes, which come first in the network of both.
Block join(const Block& a, const Places& a_places, const Block& b, const Places& b_places,
           Index inner, const std::array<Index, kSides>& count) {
  Block joined;
  joined.count = count;
  const Index nodes = inner + joined.first(kSides);
  Conductances network = Conductances::Zero(nodes, nodes);
  place(a, a_places, network);
  place(b, b_places, network);
  joined.network = eliminate(std::move(network), inner);
  return joined;
}

Block join_beside(const Block& a, const Block& b) {
  const Index inner = a.count[kRight];
  const Index left = inner, right = left + a.count[kLeft], top = right + b.count[kRight];
  const Index bottom = top + a.count[kTop] + b.count[kTop];
  return join(a, {left, 0, top, bottom}, b,
              {0, right, top + a.count[kTop], bottom + a.count[kBottom]}, inner,
              {a.count[kLeft], b.count[kRight], a.count[kTop] + b.count[kTop],
               a.count[kBottom] + b.count[kBottom]});
}

Block join_below(const Block& a, const Block& b) {
  const Index inner = a.count[kBottom];
  const Index left = inner, right = left + a.count[kLeft] + b.count[kLeft];
  const Index top = right + a.count[kRight] + b.count[kRight], bottom = top + a.count[kTop];
  return join(a, {left, right, top, 0}, b,
              {left + a.count[kLeft], right + a.count[kRight], 0, bottom}, inner,
              {a.count[kLeft] + b.count[kLeft], a.count[kRight] + b.count[kRight], a.count[kTop],
               b.count[kBottom]});
}

// --- the array
// -----------------------------------------------------------------------------------------

struct Range {
  std::size_t first, count;

  Range lower() const { return {first, count / 2}; }
  Range upper() const { return {first + count / 2, count - count / 2}; }
};

class Condenser {
 public:
  Condenser(std::span<const double> siemens, std::size_t rows, std::size_t columns,
            const WireOptions& wires)
      : siemens_(siemens), rows_(rows), columns_(columns), wires_(wires) {}

  Block all() const { return block({0, rows_}, {0, columns_}); }

 private:
  // Halves the longer side until one cell is left, so that blocks stay nearly square.
  Block block(Range rows, Range columns) const {
    if (rows.count == 1 && columns.count == 1) return cell(rows.first, columns.first);
    if (columns.count >= rows.count) {
      return join_beside(block(rows, columns.lower()), block(rows, columns.upper()));
    }
    return join_below(block(rows.lower(), columns), block(rows.upper(), columns));
  }

  // A cell with the segments to its left and below; at the ends of the lines these are in series
  // with the driver and the sense resistance.
  Block cell(std::size_t i, std::size_t j) const {
    const double before = 1 / (wires_.segment + (j == 0 ? wires_.driver : 0));
    const double below = 1 / (wires_.segment + (i + 1 == rows_ ? wires_.sense : 0));
    const bool has_right = j + 1 < columns_, has_top = i > 0;

    // Inner nodes first.
    const Index inner = (has_right ? 0 : 1) + (has_top ? 0 : 1);
    const Index left = inner, bottom = 3;
    const Index right = has_right ? left + 1 : 0;
    const Index top = has_top ? bottom - 1 : inner - 1;
    Conductances network = Conductances::Zero(4, 4);
    const auto connect = [&](Index a, Index b, double conductance) {
      network(std::max(a, b), std::min(a, b)) = conductance;
    };
    connect(left, right, before);
    connect(right, top, siemens_[i * columns_ + j]);
    connect(top, bottom, below);

    Block block;
    block.count = {1, has_right ? 1 : 0, has_top ? 1 : 0, 1};
    block.network = eliminate(std::move(network), inner);
    return block;
  }

  std::span<const double> siemens_;
  std::size_t rows_, columns_;
  const WireOptions& wires_;
};

// Conductances between two groups of nodes, [columns of the network][rows of the network].
std::vector<double> between(const Conductances& network, Index columns, Index rows,
                            Index first_row) {
  std::vector<double> result;
  result.reserve(static_cast<std::size_t>(columns * rows));
  for (Index i = 0; i < columns; ++i) {
    for (Index j = 0; j < rows; ++j) result.push_back(network(first_row + j, i));
  }
  return result;
}

}  // namespace

std::vector<double> condense_array(std::span<const double> siemens, std::size_t rows,
                                   std::size_t columns, const WireOptions& wires) {
  // With all other sources at 0 V, a source drives the conductance between it and the end of a
  // column.
  const Block block = Condenser(siemens, rows, columns, wires).all();
  return between(block.network, block.count[kLeft], block.count[kBottom], block.first(kBottom));
}

std::vector<double> condense_lines(std::span<const double> siemens, std::size_t rows,
                                   std::size_t columns, const WireOptions& wires) {
  const auto n = static_cast<Index>(rows), m = static_cast<Index>(columns);
  const bool has_driver = wires.driver > 0, has_sense = wires.sense > 0;
  const Index inner = (has_driver ? n : 0) + (has_sense ? m : 0);
  const Index sources = inner, ends = inner + n;
  const Index words = has_driver ? 0 : sources;
  const Index bits = has_sense ? inner - m : ends;
  Conductances network = Conductances::Zero(inner + n + m, inner + n + m);
  for (Index i = 0; has_driver && i < n; ++i) network(sources + i, words + i) = 1 / wires.driver;
  for (Index j = 0; has_sense && j < m; ++j) network(ends + j, bits + j) = 1 / wires.sense;
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < m; ++j) {
      const Index word = words + i, bit = bits + j;
      network(std::max(word, bit), std::min(word, bit)) =
          siemens[static_cast<std::size_t>(i * m + j)];
    }
  }
  return between(eliminate(std::move(network), inner), n, m, n);
}

}  // namespace crosstate::circuit
