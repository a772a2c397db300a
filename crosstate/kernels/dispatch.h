// Which instruction set the vector kernels run on, chosen at run time.
#pragma once

#include <string>
#include <vector>

namespace crosstate::kernels {

/// The instruction set in use: "scalar", "AVX2", "AVX3" (AVX-512), "NEON", ...
std::string kernel_target();

/// Names that select_kernel_target() accepts on this machine, best first.
std::vector<std::string> kernel_targets();

/// Uses the named instruction set from now on ("best" undoes it). Throws Error for one that this
/// build or machine lacks. Not thread-safe: call it before any kernel runs.
void select_kernel_target(const std::string& name);

/// Multiply-adds per second times two that one thread reaches on registers alone with the selected
/// instruction set: the peak that benchmarks divide by. Takes about `seconds`.
double measure_peak_flops(double seconds);

}  // namespace crosstate::kernels
