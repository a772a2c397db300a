// Arrays and a simple nodal solver for the tests of this folder.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "crosstate/base/random.h"
#include "crosstate/circuit/wires.h"

namespace crosstate::circuit::fixtures {

struct Array {
  std::size_t rows, columns;
  std::vector<double> siemens, volts;
};

/// Conductances over four orders of magnitude, a tenth of them 0 S, and voltages of both signs.
inline Array random_array(std::size_t rows, std::size_t columns, std::uint32_t item) {
  Random random(7, Stream::kTest, item);
  Array a{rows, columns, {}, {}};
  for (std::size_t k = 0; k < rows * columns; ++k) {
    const bool open = random.uniform(0, 1) < 0.1;
    a.siemens.push_back(open ? 0 : std::pow(10, random.uniform(-6, -2)));
  }
  for (std::size_t i = 0; i < rows; ++i) a.volts.push_back(random.uniform(-1, 1));
  return a;
}

/// A conductance between two nodes.
struct Branch {
  std::size_t from, to;
  double siemens;
};

/// The voltages of all nodes, of which the first `free` ones are unknown and the others `known`.
/// Gaussian elimination with pivoting; unknown nodes without a branch are at 0 V.
inline std::vector<double> solved(const std::vector<Branch>& branches, std::size_t free,
                                  const std::vector<double>& known) {
  std::vector<std::vector<double>> a(free, std::vector<double>(free + 1));
  const auto add = [&](std::size_t node, std::size_t other, double siemens) {
    if (node >= free) return;
    a[node][node] += siemens;
    if (other < free) {
      a[node][other] -= siemens;
    } else {
      a[node][free] += siemens * known[other - free];
    }
  };
  for (const Branch& b : branches) {
    add(b.from, b.to, b.siemens);
    add(b.to, b.from, b.siemens);
  }
  for (std::size_t p = 0; p < free; ++p) {
    std::size_t best = p;
    for (std::size_t r = p + 1; r < free; ++r) {
      if (std::abs(a[r][p]) > std::abs(a[best][p])) best = r;
    }
    std::swap(a[p], a[best]);
    if (a[p][p] == 0) continue;
    for (std::size_t r = p + 1; r < free; ++r) {
      const double factor = a[r][p] / a[p][p];
      for (std::size_t c = p; factor != 0 && c <= free; ++c) a[r][c] -= factor * a[p][c];
    }
  }
  std::vector<double> volts(free);
  for (std::size_t p = free; p-- > 0;) {
    if (a[p][p] == 0) continue;
    double sum = a[p][free];
    for (std::size_t c = p + 1; c < free; ++c) sum -= a[p][c] * volts[c];
    volts[p] = sum / a[p][p];
  }
  volts.insert(volts.end(), known.begin(), known.end());
  return volts;
}

}  // namespace crosstate::circuit::fixtures
