// Functions of complex numbers that give the same bits on every processor. Those of the C library
// use fused multiply-adds where the processor has them, as on 64-bit Arm.
#pragma once

#include <complex>

namespace crosstate {

/// sqrt(x^2 + y^2) without overflow, to less than one unit in the last place (Borges, "An improved
/// algorithm for hypot(a, b)", arXiv 1904.09481, without fused operations).
double magnitude(double x, double y);

/// |z|
inline double magnitude(std::complex<double> z) { return magnitude(z.real(), z.imag()); }

/// The principal value of ln z, also accurate near |z| = 1.
std::complex<double> logarithm(std::complex<double> z);

}  // namespace crosstate
