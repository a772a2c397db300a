// Selects the instruction sets for which the kernels are compiled; included before any Highway
// header.
#pragma once

// x86-64: scalar code as the baseline, AVX2 and AVX-512 in addition. Otherwise Highway's defaults
// (NEON or SVE on 64-bit Arm).
#if defined(__x86_64__)
// Without HWY_BROKEN_EMU128 newer compilers prefer Highway's emulated vectors to HWY_SCALAR as the
// baseline, and then reject the selection below.
#define HWY_BROKEN_EMU128 1
#define HWY_BASELINE_TARGETS HWY_SCALAR
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
