// Chosen before any Highway header: the instruction sets that the kernels are compiled for.
#pragma once

// x86-64: plain scalar code as the base, AVX2 and AVX-512 beside it. Elsewhere Highway's own
// choice (NEON or SVE on 64-bit Arm).
#if defined(__x86_64__)
#define HWY_BASELINE_TARGETS HWY_SCALAR
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
