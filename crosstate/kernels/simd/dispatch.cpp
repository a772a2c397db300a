#include "crosstate/kernels/dispatch.h"

#include <algorithm>
#include <cctype>
#include <chrono>

#include "crosstate/base/error.h"
#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/dispatch.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Twelve independent chains of multiply-adds, enough for latency 4 to 6 at two per cycle. Returns
// the number of operations; `sink` prevents the compiler from removing them.
double MultiplyAddLoop(std::size_t rounds, float* sink) {
  constexpr hn::ScalableTag<float> d;
  constexpr std::size_t kChains = 12;
  const auto scale = hn::Set(d, 0.999f), add = hn::Set(d, 1e-3f);
  hn::Vec<hn::ScalableTag<float>> chain[kChains];
  for (std::size_t i = 0; i < kChains; ++i) chain[i] = hn::Set(d, 0.1f * static_cast<float>(i));
  for (std::size_t r = 0; r < rounds; ++r) {
    for (std::size_t i = 0; i < kChains; ++i) chain[i] = hn::MulAdd(chain[i], scale, add);
  }
  auto total = chain[0];
  for (std::size_t i = 1; i < kChains; ++i) total = hn::Add(total, chain[i]);
  *sink = hn::GetLane(total);
  return 2.0 * static_cast<double>(rounds * kChains * hn::Lanes(d));
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {
namespace {

HWY_EXPORT(MultiplyAddLoop);

// Available here, best first.
auto available_targets() {
  auto targets = hwy::SupportedAndGeneratedTargets();
  // Compiled without dispatch, whatever Highway finds.
  if constexpr ((HWY_TARGETS & (HWY_TARGETS - 1)) == 0) targets = {HWY_TARGETS};
  return targets;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

std::vector<std::string> kernel_targets() {
  std::vector<std::string> names;
  for (const auto target : available_targets()) {
    names.emplace_back(hwy::TargetName(target));
  }
  return names;
}

std::string kernel_target() { return kernel_targets().front(); }

void select_kernel_target(const std::string& name) {
  hwy::SetSupportedTargetsForTest(0);
  if (lower(name) != "best") {
    std::string known = "best";
    decltype(hwy::SupportedTargets()) chosen = 0;
    for (const auto target : available_targets()) {
      known += std::string(", ") + hwy::TargetName(target);
      if (lower(hwy::TargetName(target)) == lower(name)) chosen = target;
    }
    if (chosen == 0)
      fail("instruction set", "'" + name + "' is not available here; one of " + known);
    hwy::SetSupportedTargetsForTest(chosen);
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

double measure_peak_flops(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  double best = 0;
  float sink = 0;
  do {
    const auto t0 = Clock::now();
    const double flops = HWY_DYNAMIC_DISPATCH(MultiplyAddLoop)(20000, &sink);
    best = std::max(best, flops / std::chrono::duration<double>(Clock::now() - t0).count());
  } while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
  return best;
}

}  // namespace crosstate::kernels
#endif
