// Selection of the instruction set of the vector kernels at run time.
#pragma once

#include <string>
#include <vector>

namespace crosstate::kernels {

/// The instruction set in use: "scalar", "AVX2", "AVX3" (AVX-512), "NEON", ...
std::string kernel_target();

/// Names that select_kernel_target() accepts on this machine, best first.
std::vector<std::string> kernel_targets();

/// Selects an instruction set from now on ("best" restores the default). Throws Error if the build
/// or the machine does not support it. Not thread-safe: call it before any kernel runs.
void select_kernel_target(const std::string& name);

/// Peak performance of one thread on registers with the selected instruction set, in operations per
/// second (two per multiply-add); reference for benchmarks. Takes about `seconds`.
double measure_peak_flops(double seconds);

}  // namespace crosstate::kernels
