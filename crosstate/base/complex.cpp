#include "crosstate/base/complex.h"

#include <algorithm>
#include <cmath>

namespace crosstate {

double magnitude(double x, double y) {
  double large = std::max(std::abs(x), std::abs(y)), small = std::min(std::abs(x), std::abs(y));
  if (!(small > large * 0x1p-54)) return large + small;
  const double scale = large > 0x1p511 ? 0x1p-600 : small < 0x1p-459 ? 0x1p600 : 1;
  large *= scale;
  small *= scale;
  // The root and one step of Newton's method, whose residue is computed from small differences.
  const double root = std::sqrt(large * large + small * small);
  double residue = 0;
  if (root <= 2 * small) {
    const double above = root - small;
    residue = large * (2 * above - large) + (above - 2 * (large - small)) * above;
  } else {
    const double above = root - large;
    residue = 2 * above * (large - 2 * small) + ((4 * above - small) * small + above * above);
  }
  return (root - residue / (2 * root)) / scale;
}

std::complex<double> logarithm(std::complex<double> z) {
  const double re = std::abs(z.real()), im = std::abs(z.imag());
  const double large = std::max(re, im), small = std::min(re, im);
  const double p = large * large, q = small * small;
  const double phase = std::arg(z);
  if (!(p + q >= 0.5 && p + q <= 2)) return {std::log(magnitude(z)), phase};
  // |z|^2 - 1 from differences that are exact where they cancel, with what rounding the squares
  // loses.
  const double above = q >= 0.25 ? (p - 0.5) + (q - 0.5) : (p - 1) + q;
  const double lost = std::fma(large, large, -p) + std::fma(small, small, -q);
  return {0.5 * std::log1p(above + lost), phase};
}

}  // namespace crosstate
