// crosstate bench scan: the scan kernels alone, on one thread or on several at once.
#include <algorithm>
#include <array>
#include <barrier>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "crosstate/base/random.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/kernels/scan.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

AlignedFloats uniform(Random& random, std::size_t n, double low, double high) {
  AlignedFloats values(n);
  for (float& v : values) v = static_cast<float>(random.uniform(low, high));
  return values;
}

// The work of one thread: all channels of one group of sequences, block by block.
class ScanWork {
 public:
  ScanWork(const BenchOptions& options, std::uint32_t thread)
      : channels_(static_cast<std::size_t>(options.channels)),
        modes_(static_cast<std::size_t>(options.states / 2)),
        steps_(
            static_cast<std::size_t>(std::min(model::ModelOptions().block_length, options.length))),
        blocks_(static_cast<std::size_t>(options.length) / steps_),
        rounds_(options.state_bits > 0) {
    Random random(options.seed, Stream::kTest, 1, thread);
    const std::size_t all = channels_ * modes_;
    ar_.resize(all);
    ai_.resize(all);
    for (std::size_t i = 0; i < all; ++i) {
      const double magnitude = random.uniform(0.9, 0.999), phase = random.uniform(-3, 3);
      ar_[i] = static_cast<float>(magnitude * std::cos(phase));
      ai_[i] = static_cast<float>(magnitude * std::sin(phase));
    }
    cr_ = uniform(random, all, -1, 1);
    ci_ = uniform(random, all, -1, 1);
    b_ = uniform(random, all, 8, 16);  // the state in units of quantization steps
    u_ = uniform(random, steps_ * kLanes, 0, 1);
    gy_ = uniform(random, steps_ * kLanes, -1, 1);
    if (rounds_) {
      rounding_.limit = static_cast<float>(std::exp2(options.state_bits - 1) - 1);
      rounding_.mode = quant::rounding_mode(
          {.residue_bits = options.residue_bits, .rounding = options.state_rounding});
      residue_bits_.assign(modes_, static_cast<std::uint8_t>(options.residue_bits));
      rounding_.residue_bits = residue_bits_.data();
    }
    rounding_.draws.seeds = seeds_.data();
    state_size_ = kernels::scan_state_size(modes_, rounding_.mode);
    y_.resize(steps_ * kLanes);
    gu_.resize(steps_ * kLanes);
    scratch_.resize(kernels::kScanScratch * steps_);
    for (AlignedFloats* states : {&state_, &start_, &carry_}) {
      states->resize(channels_ * state_size_);
    }
    gradients_.resize(5 * modes_);
  }
  ScanWork(const ScanWork&) = delete;
  ScanWork& operator=(const ScanWork&) = delete;

  /// Modes x steps x lanes of one pass.
  double items() const {
    return static_cast<double>(blocks_ * steps_ * channels_ * modes_ * kLanes);
  }

  void forward() {
    std::fill(state_.begin(), state_.end(), 0.0f);
    for (std::size_t k = 0; k < blocks_; ++k) {
      for (std::size_t c = 0; c < channels_; ++c) {
        kernels::scan_forward(mode(c), rounding_, steps_, u_.data(), y_.data(),
                              &state_[c * state_size_]);
      }
    }
  }

  void adjoint() {
    std::fill(carry_.begin(), carry_.end(), 0.0f);
    double* const g = gradients_.data();
    const kernels::ScanGradients gradients{g, g + modes_, rounds_ ? g + 4 * modes_ : nullptr,
                                           g + 2 * modes_, g + 3 * modes_};
    for (std::size_t k = 0; k < blocks_; ++k) {
      for (std::size_t c = 0; c < channels_; ++c) {
        kernels::scan_adjoint(mode(c), rounding_, steps_, u_.data(), &start_[c * state_size_],
                              gy_.data(), gu_.data(), &carry_[c * state_size_], gradients,
                              scratch_.data());
      }
    }
  }

 private:
  kernels::ScanModes mode(std::size_t c) const {
    const std::size_t at = c * modes_;
    return {modes_, &ar_[at], &ai_[at], rounds_ ? &b_[at] : nullptr, &cr_[at], &ci_[at]};
  }

  std::size_t channels_, modes_, steps_, blocks_, state_size_ = 0;
  bool rounds_;
  kernels::StateRounding rounding_;
  std::vector<std::uint8_t> residue_bits_;
  std::array<std::uint32_t, kLanes> seeds_{};
  AlignedFloats ar_, ai_, cr_, ci_, b_, u_, gy_, y_, gu_, scratch_, state_, start_, carry_;
  std::vector<double> gradients_;
};

struct ScanTimes {
  double forward = 0, adjoint = 0;  // seconds per mode, step and lane on one thread
};

// The threads are synchronised before every measurement, so that all of them run at the same time.
ScanTimes scan_times(const BenchOptions& options, ThreadPool& pool) {
  const auto threads = static_cast<std::size_t>(pool.size());
  const auto repeats = static_cast<std::size_t>(options.repeats);
  std::vector<std::unique_ptr<ScanWork>> works;
  for (std::size_t i = 0; i < threads; ++i) {
    works.push_back(std::make_unique<ScanWork>(options, static_cast<std::uint32_t>(i)));
  }
  std::vector<double> forward(threads * repeats), adjoint(threads * repeats);
  std::barrier start(static_cast<std::ptrdiff_t>(threads));
  pool.parallel_for(threads, [&](std::size_t i, int) {
    for (std::size_t r = 0; r < kWarmUp + repeats; ++r) {
      start.arrive_and_wait();
      const double t0 = now();
      works[i]->forward();
      const double t1 = now();
      works[i]->adjoint();
      const double t2 = now();
      if (r < kWarmUp) continue;
      forward[i * repeats + r - kWarmUp] = t1 - t0;
      adjoint[i * repeats + r - kWarmUp] = t2 - t1;
    }
  });
  const double items = works[0]->items();
  return {median(forward) / items, median(adjoint) / items};
}

}  // namespace

json scan_json(const BenchOptions& options, ThreadPool& pool, double peak) {
  const ScanTimes times = scan_times(options, pool);
  const auto rate = [&](double flops, double seconds) { return pool.size() * flops / seconds; };
  const double flops =
      rate(kernels::kScanForwardFlops + kernels::kScanAdjointFlops, times.forward + times.adjoint);
  return {{"forward_ns", times.forward * 1e9},
          {"adjoint_ns", times.adjoint * 1e9},
          {"gflops", flops / 1e9},
          {"share_of_peak", flops / peak},
          {"forward_share_of_peak", rate(kernels::kScanForwardFlops, times.forward) / peak},
          {"adjoint_share_of_peak", rate(kernels::kScanAdjointFlops, times.adjoint) / peak}};
}

int bench_scan(const Common& common, const BenchOptions& options) {
  ThreadPool pool(common.threads);
  const double peak = peak_flops(pool);
  json result = scan_json(options, pool, peak);
  result["peak_gflops"] = peak / 1e9;
  result["instruction_set"] = kernels::kernel_target();
  result["threads"] = pool.size();
  result["settings"] = settings_json(options, Bench::kScan);
  return report_result(common, "bench-scan", result);
}

}  // namespace crosstate::cli
