#include "crosstate/ptq/moments.h"

#include <gtest/gtest.h>

#include <vector>

#include "crosstate/base/random.h"

namespace crosstate::ptq {
namespace {

// y = W x + bias of correlated inputs with a mean, in parts, and some columns that do not count.
Moments moments_of(const std::vector<double>& weight, const std::vector<double>& bias,
                   std::size_t inputs) {
  Random random(1, Stream::kTest);
  const std::size_t outputs = bias.size(), columns = 64;
  Moments all;
  for (int part = 0; part < 20; ++part) {
    std::vector<float> x(inputs * columns), y(outputs * columns), share(columns, 1);
    for (std::size_t c = 0; c < columns; ++c) {
      const double common = random.normal();
      for (std::size_t i = 0; i < inputs; ++i) {
        x[i * columns + c] = static_cast<float>(2 + common + 0.3 * random.normal());
      }
      for (std::size_t o = 0; o < outputs; ++o) {
        double sum = bias[o];
        for (std::size_t i = 0; i < inputs; ++i) {
          sum += weight[o * inputs + i] * static_cast<double>(x[i * columns + c]);
        }
        y[o * columns + c] = static_cast<float>(sum);
      }
      if (c % 7 != 0) continue;
      share[c] = 0;
      y[c] = 1e6f;
    }
    std::vector<const float*> in, out;
    for (std::size_t i = 0; i < inputs; ++i) in.push_back(x.data() + i * columns);
    for (std::size_t o = 0; o < outputs; ++o) out.push_back(y.data() + o * columns);
    Moments one(inputs, outputs);
    one.add(columns, in, out, share.data());
    all += one;
  }
  return all;
}

TEST(Moments, GiveBackTheWeightsOfALinearMap) {
  const std::vector<double> weight = {1, -2, 0.5, 0.25, 3, -1}, bias = {0.5, -4};
  const Moments moments = moments_of(weight, bias, 3);
  EXPECT_EQ(moments.count(), 20 * (64 - 10));
  EXPECT_NEAR(moments.input_mean(1), 2, 0.1);
  const std::vector<double> start(6, 0);
  const LinearFit found = fit(moments, start, 1e-9, true);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(found.weight[i], weight[i], 1e-3) << i;
  for (std::size_t o = 0; o < 2; ++o) {
    EXPECT_NEAR(found.bias(o, std::span(found.weight).subspan(3 * o, 3)), bias[o], 1e-2);
  }
  // For other weights, the bias preserves the mean.
  const std::vector<double> zeros(3, 0);
  EXPECT_NEAR(found.bias(0, zeros), moments.output_mean(0), 1e-9);
}

TEST(Moments, AreFittedNearTheStartWithARidge) {
  const std::vector<double> weight = {1, -2}, start = {4, 4};
  const Moments moments = moments_of(weight, {0}, 2);
  const LinearFit held = fit(moments, start, 1e6, true);
  EXPECT_NEAR(held.weight[0], 4, 1e-2);
  EXPECT_NEAR(held.weight[1], 4, 1e-2);
}

TEST(Moments, AreThoseAboutZeroWithoutABias) {
  const std::vector<double> weight = {1, -2};
  const LinearFit found = fit(moments_of(weight, {0}, 2), weight, 1e-9, false);
  EXPECT_NEAR(found.weight[0], 1, 1e-3);
  EXPECT_GT(found.gram[0], 4);  // includes the square of the mean
  EXPECT_EQ(found.bias(0, found.weight), 0);
}

}  // namespace
}  // namespace crosstate::ptq
