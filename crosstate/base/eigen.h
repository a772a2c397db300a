// Eigen with the same results on every processor; included instead of Eigen's own headers. On
// 64-bit Arm, Eigen would use fused multiply-adds, which x86-64 does not have in its baseline and
// which round differently.
#pragma once

#if defined(__aarch64__) && defined(__ARM_FEATURE_FMA)
#include <arm_neon.h>

#pragma push_macro("__ARM_FEATURE_FMA")
#undef __ARM_FEATURE_FMA
// The kernel of matrix products calls these whether or not that is defined.
#define vfmaq_n_f32(sum, a, b) vaddq_f32(sum, vmulq_n_f32(a, b))
#define vfmaq_laneq_f32(sum, a, b, lane) vaddq_f32(sum, vmulq_laneq_f32(a, b, lane))
#define vfmaq_n_f64(sum, a, b) vaddq_f64(sum, vmulq_n_f64(a, b))
#define vfmaq_laneq_f64(sum, a, b, lane) vaddq_f64(sum, vmulq_laneq_f64(a, b, lane))
#define EIGEN_DENSEBASE_PLUGIN "crosstate/base/eigen_plugin.h"

#include <Eigen/Core>

#undef EIGEN_DENSEBASE_PLUGIN
#undef vfmaq_n_f32
#undef vfmaq_laneq_f32
#undef vfmaq_n_f64
#undef vfmaq_laneq_f64
#pragma pop_macro("__ARM_FEATURE_FMA")
#endif

#include <Eigen/Dense>
#include <Eigen/SparseCholesky>
