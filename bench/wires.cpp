// Programming an array with wires: the matrix of effective conductances by condensation, compared
// with one sparse factorisation of the nodal equations with a single right-hand side, and with one
// operating point of non-linear cells. Signed pairs have two bit lines, so 64 x 128 is an array of
// 64 x 64.
#include "crosstate/circuit/wires.h"

#include <benchmark/benchmark.h>

#include <vector>

#include "crosstate/base/random.h"

namespace crosstate {
namespace {

struct Array {
  std::size_t rows, columns;
  std::vector<double> siemens, volts;

  explicit Array(const benchmark::State& state)
      : rows(static_cast<std::size_t>(state.range(0))),
        columns(static_cast<std::size_t>(state.range(1))) {
    Random random(1, Stream::kTest);
    for (std::size_t k = 0; k < rows * columns; ++k) {
      siemens.push_back(random.uniform(1e-6, 100e-6));
    }
    for (std::size_t i = 0; i < rows; ++i) volts.push_back(random.uniform(-0.2, 0.2));
  }
};

const circuit::WireOptions kWires{.segment = 1, .driver = 100, .sense = 100};

void Condensation(benchmark::State& state) {
  const Array a(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(circuit::effective_conductance(a.siemens, a.rows, a.columns, kWires));
  }
}

void OnePoint(benchmark::State& state, const circuit::CellLaw& law) {
  const Array a(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        circuit::operating_point(a.siemens, a.rows, a.columns, a.volts, kWires, law));
  }
}

void SparseLinear(benchmark::State& state) { OnePoint(state, {}); }
void NewtonCubic(benchmark::State& state) { OnePoint(state, {.nl2 = 1e-5, .nl3 = 1e-4}); }
void NewtonSelector(benchmark::State& state) { OnePoint(state, {.selector_current = 1e-6}); }

void pairs(benchmark::internal::Benchmark* b) { b->Args({64, 128})->Args({128, 256}); }

BENCHMARK(Condensation)->Unit(benchmark::kMillisecond)->Apply(pairs)->Args({256, 512});
BENCHMARK(SparseLinear)->Unit(benchmark::kMillisecond)->Apply(pairs);
BENCHMARK(NewtonCubic)->Unit(benchmark::kMillisecond)->Apply(pairs);
BENCHMARK(NewtonSelector)->Unit(benchmark::kMillisecond)->Apply(pairs);

}  // namespace
}  // namespace crosstate
