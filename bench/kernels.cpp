// Throughput of the kernels, compared with OpenBLAS for the same products.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <cmath>
#include <utility>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/scan.h"

extern "C" void openblas_set_num_threads(int threads);

namespace crosstate {
namespace {

AlignedFloats random_floats(std::size_t count, std::uint32_t item, double size = 1) {
  Random random(1, Stream::kTest, item);
  AlignedFloats values(count);
  for (float& v : values) v = static_cast<float>(random.uniform(-size, size));
  return values;
}

void count_flops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

// --- scan: arguments are modes and the limit of rounding (0: none)
// --------------------------------

struct Channel {
  static constexpr std::size_t kSteps = 784;
  explicit Channel(const benchmark::State& state)
      : modes(static_cast<std::size_t>(state.range(0))),
        rounding{static_cast<float>(state.range(1))} {
    for (std::size_t n = 0; n < modes; ++n) {
      ar.push_back(0.99f * std::cos(0.1f * static_cast<float>(n)));
      ai.push_back(0.99f * std::sin(0.1f * static_cast<float>(n)));
    }
  }
  kernels::ScanModes scan_modes() const {
    return {modes, ar.data(), ai.data(), nullptr, cr.data(), ci.data()};
  }
  double samples() const { return static_cast<double>(modes * kSteps * kLanes); }

  std::size_t modes;
  kernels::StateRounding rounding;
  AlignedFloats ar, ai;
  AlignedFloats cr = random_floats(modes, 1), ci = random_floats(modes, 2);
  AlignedFloats u = random_floats(kSteps * kLanes, 3, 10), y = AlignedFloats(u.size());
  AlignedFloats start = AlignedFloats(kernels::scan_state_size(modes));
};

void ScanForward(benchmark::State& state) {
  Channel c(state);
  for (auto _ : state) {
    AlignedFloats x = c.start;
    kernels::scan_forward(c.scan_modes(), c.rounding, c.kSteps, c.u.data(), c.y.data(), x.data());
    benchmark::DoNotOptimize(x.data());
  }
  count_flops(state, kernels::kScanForwardFlops * c.samples());
}

void ScanAdjoint(benchmark::State& state) {
  Channel c(state);
  AlignedFloats gu(c.u.size()), scratch(kernels::kScanScratch * c.kSteps);
  std::vector<double> ar(c.modes), ai(c.modes), b(c.modes), cr(c.modes), ci(c.modes);
  const kernels::ScanGradients gradients{ar.data(), ai.data(), b.data(), cr.data(), ci.data()};
  const AlignedFloats gy = random_floats(c.u.size(), 4);
  for (auto _ : state) {
    AlignedFloats carry(c.start.size());
    kernels::scan_adjoint(c.scan_modes(), c.rounding, c.kSteps, c.u.data(), c.start.data(),
                          gy.data(), gu.data(), carry.data(), gradients, scratch.data());
    benchmark::DoNotOptimize(carry.data());
  }
  count_flops(state, kernels::kScanAdjointFlops * c.samples());
}

// --- linear maps: arguments are outputs, inputs and columns
// ---------------------------------------

struct Linear {
  explicit Linear(const benchmark::State& state)
      : outputs(static_cast<std::size_t>(state.range(0))),
        inputs(static_cast<std::size_t>(state.range(1))),
        columns(static_cast<std::size_t>(state.range(2))) {}
  double flops() const { return 2.0 * static_cast<double>(outputs * inputs * columns); }

  std::size_t outputs, inputs, columns;
  AlignedFloats w = random_floats(outputs * inputs, 5), bias = random_floats(outputs, 6);
  AlignedFloats x = random_floats(inputs * columns, 7), y = random_floats(outputs * columns, 8);
};

void LinearForward(benchmark::State& state) {
  Linear l(state);
  for (auto _ : state) {
    kernels::linear_forward(l.w.data(), l.bias.data(), l.outputs, l.inputs, l.columns,
                            {l.x.data(), l.columns}, {l.y.data(), l.columns});
    benchmark::ClobberMemory();
  }
  count_flops(state, l.flops());
}

void LinearAdjointWeight(benchmark::State& state) {
  Linear l(state);
  std::vector<double> gw(l.w.size()), gb(l.outputs);
  for (auto _ : state) {
    kernels::linear_adjoint_weight(l.outputs, l.inputs, l.columns, {l.y.data(), l.columns},
                                   {l.x.data(), l.columns}, gw.data(), gb.data());
    benchmark::ClobberMemory();
  }
  count_flops(state, l.flops());
}

// Only the products, without bias: y = W x, and gw = gy x^T in float.
void BlasForward(benchmark::State& state) {
  openblas_set_num_threads(1);
  Linear l(state);
  const int m = static_cast<int>(l.outputs), k = static_cast<int>(l.inputs),
            n = static_cast<int>(l.columns);
  for (auto _ : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, l.w.data(), k, l.x.data(), n,
                0, l.y.data(), n);
    benchmark::ClobberMemory();
  }
  count_flops(state, l.flops());
}

void BlasAdjointWeight(benchmark::State& state) {
  openblas_set_num_threads(1);
  Linear l(state);
  const int m = static_cast<int>(l.outputs), k = static_cast<int>(l.inputs),
            n = static_cast<int>(l.columns);
  for (auto _ : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, k, n, 1, l.y.data(), n, l.x.data(), n,
                0, l.w.data(), k);
    benchmark::ClobberMemory();
  }
  count_flops(state, l.flops());
}

// --- the rest, in elements per second, on 64 rows of 448 columns
// ----------------------------------

constexpr std::size_t kRows = 64, kColumns = 448;

template <kernels::Activation kFunction>
void ActivationForward(benchmark::State& state) {
  const AlignedFloats x = random_floats(kRows * kColumns, 9, 3);
  AlignedFloats y(x.size());
  for (auto _ : state) {
    kernels::activation_forward(kFunction, kRows, kColumns, {x.data(), kColumns},
                                {y.data(), kColumns});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(x.size()));
}

template <kernels::Activation kFunction>
void ActivationWithSlope(benchmark::State& state) {
  const AlignedFloats x = random_floats(kRows * kColumns, 9, 3);
  AlignedFloats y(x.size()), slope(x.size());
  for (auto _ : state) {
    kernels::activation_with_slope(kFunction, kRows, kColumns, {x.data(), kColumns},
                                   {y.data(), kColumns}, {slope.data(), kColumns});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(x.size()));
}

void LayerNormForward(benchmark::State& state) {
  const AlignedFloats x = random_floats(kRows * kColumns, 9), gamma = random_floats(kRows, 11);
  AlignedFloats y(x.size());
  for (auto _ : state) {
    kernels::layer_norm_forward(gamma.data(), gamma.data(), kRows, kColumns, {x.data(), kColumns},
                                {y.data(), kColumns});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(x.size()));
}

void LayerNormAdjoint(benchmark::State& state) {
  const AlignedFloats x = random_floats(kRows * kColumns, 9), gy = random_floats(x.size(), 10);
  const AlignedFloats gamma = random_floats(kRows, 11);
  AlignedFloats gx(x.size());
  std::vector<double> ggamma(kRows), gbeta(kRows);
  for (auto _ : state) {
    kernels::layer_norm_adjoint(gamma.data(), kRows, kColumns, {x.data(), kColumns},
                                {gy.data(), kColumns}, {gx.data(), kColumns}, ggamma.data(),
                                gbeta.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(x.size()));
}

void FakeQuantizeForward(benchmark::State& state) {
  const AlignedFloats x = random_floats(kRows * kColumns, 9), scale(kRows, 0.01f);
  AlignedFloats y(x.size());
  for (auto _ : state) {
    kernels::fake_quantize_forward(scale.data(), -127, 127, kRows, kColumns, {x.data(), kColumns},
                                   {y.data(), kColumns});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(x.size()));
}

void FakeQuantizeAdjoint(benchmark::State& state) {
  const AlignedFloats x = random_floats(kRows * kColumns, 9), gy = random_floats(x.size(), 10);
  const AlignedFloats scale(kRows, 0.01f);
  AlignedFloats gx(x.size());
  std::vector<double> glog(kRows);
  for (auto _ : state) {
    kernels::fake_quantize_adjoint(scale.data(), -127, 127, kernels::RangeGradient::kSteps, kRows,
                                   kColumns, {x.data(), kColumns}, {gy.data(), kColumns},
                                   {gx.data(), kColumns}, glog.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(x.size()));
}

void linear_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"outputs", "inputs", "columns"});
  for (const auto& [outputs, inputs] :
       {std::pair(32, 16), {16, 32}, {128, 64}, {64, 128}, {64, 1}}) {
    b->Args({outputs, inputs, 448});
  }
}

BENCHMARK(ScanForward)->ArgNames({"modes", "limit"})->ArgsProduct({{4, 32}, {0, 127}});
BENCHMARK(ScanAdjoint)->ArgNames({"modes", "limit"})->ArgsProduct({{4, 32}, {0, 127}});
BENCHMARK(LinearForward)->Apply(linear_sizes);
BENCHMARK(BlasForward)->Apply(linear_sizes);
BENCHMARK(LinearAdjointWeight)->Apply(linear_sizes);
BENCHMARK(BlasAdjointWeight)->Apply(linear_sizes);
BENCHMARK(ActivationForward<kernels::Activation::kGelu>);
BENCHMARK(ActivationWithSlope<kernels::Activation::kGelu>);
BENCHMARK(ActivationForward<kernels::Activation::kSigmoid>);
BENCHMARK(ActivationWithSlope<kernels::Activation::kSigmoid>);
BENCHMARK(LayerNormForward);
BENCHMARK(LayerNormAdjoint);
BENCHMARK(FakeQuantizeForward);
BENCHMARK(FakeQuantizeAdjoint);

}  // namespace
}  // namespace crosstate
