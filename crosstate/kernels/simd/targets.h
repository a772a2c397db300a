// Selects the instruction sets for which the kernels are compiled; included before any Highway
// header.
#pragma once

// x86-64: scalar code as the baseline, AVX2 and AVX-512 in addition. 64-bit Arm: NEON, which every
// such processor has, without dispatch. Otherwise Highway's defaults.
#if defined(__x86_64__)
// Without HWY_BROKEN_EMU128 newer compilers prefer Highway's emulated vectors to HWY_SCALAR as the
// baseline, and then reject the selection below.
#define HWY_BROKEN_EMU128 1
#define HWY_BASELINE_TARGETS HWY_SCALAR
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#elif defined(__aarch64__)
// The size of vectors of SVE is unknown to the compiler, but the kernels need it.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#define HWY_COMPILE_ONLY_STATIC
// Where Highway can find out at run time what a processor has, it compiles NEON for those with AES,
// which a Raspberry Pi 4 lacks, and by a pragma that GCC does not extend to lambdas and implicit
// constructors. Without this header of the C library it cannot.
#ifndef TOOLCHAIN_MISS_SYS_AUXV_H
#define TOOLCHAIN_MISS_SYS_AUXV_H
#endif
#endif
