// Chosen before any Highway header: the instruction sets that the kernels are compiled for.
#pragma once

// x86-64: plain scalar code as the base, AVX2 and AVX-512 beside it. Elsewhere Highway's own
// choice (NEON or SVE on 64-bit Arm).
#if defined(__x86_64__)
// Without HWY_BROKEN_EMU128 newer compilers prefer Highway's emulated vectors to HWY_SCALAR as the
// base, and then reject the choice below.
#define HWY_BROKEN_EMU128 1
#define HWY_BASELINE_TARGETS HWY_SCALAR
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
