// Front end and augmentation of recordings of 0.4 s at 8 kHz. An epoch of 3,000 such recordings
// takes 3,000 times as long as one iteration here, on one core.
#include "crosstate/data/front_end.h"

#include <benchmark/benchmark.h>

#include <vector>

#include "crosstate/base/random.h"
#include "crosstate/data/augment.h"

namespace crosstate {
namespace {

constexpr int kRate = 8000;

std::vector<float> recording() {
  Random random(1, Stream::kTest);
  std::vector<float> samples(kRate * 4 / 10);
  for (float& x : samples) x = static_cast<float>(0.1 * random.normal());
  return samples;
}

void run(benchmark::State& state, const data::FrontEndOptions& options) {
  const data::FrontEnd front_end(options, kRate);
  data::FrontEndStream stream(front_end);
  const std::vector<float> samples = recording();
  std::vector<float> frames;
  for (auto _ : state) {
    stream.reset();
    frames.clear();
    stream.push(samples, frames);
    benchmark::DoNotOptimize(frames.data());
  }
}

void LogMel(benchmark::State& state) { run(state, {}); }
void LogMelWithDeltas(benchmark::State& state) { run(state, {.deltas = true}); }
void LogMelInWholeNumbers(benchmark::State& state) {
  run(state, {.arithmetic = data::FrontEndArithmetic::kInteger});
}
void Waveform(benchmark::State& state) {
  run(state, {.kind = data::FrontEndKind::kWaveform, .decimation = 2});
}

void Variation(benchmark::State& state) {
  const data::AugmentOptions options{.shift = 30, .gain = 8, .speed = 0.12, .noise = 1};
  const std::vector<float> samples = recording();
  std::uint32_t item = 0;
  for (auto _ : state) {
    std::vector<float> copy = samples;
    Random random(1, Stream::kTest, ++item);
    data::vary_samples(options, kRate, 80, random, copy);
    benchmark::DoNotOptimize(copy.data());
  }
}

BENCHMARK(LogMel)->Unit(benchmark::kMicrosecond);
BENCHMARK(LogMelWithDeltas)->Unit(benchmark::kMicrosecond);
BENCHMARK(LogMelInWholeNumbers)->Unit(benchmark::kMicrosecond);
BENCHMARK(Waveform)->Unit(benchmark::kMicrosecond);
BENCHMARK(Variation)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace crosstate
