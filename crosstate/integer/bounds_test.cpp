#include "crosstate/integer/bounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/integer/testing.h"

namespace crosstate::integer {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::int64_t kLargestInteger = std::numeric_limits<std::int64_t>::max();

// Whether every step of a requantizer fits in 64 bits at the two extremes of p and q, where the
// terms have the same sign.
bool extremes_fit(const Requantizer& r, std::int64_t p, std::int64_t q) {
  const std::int64_t early = r.early_of(0);
  std::int64_t sum = 0, rounded = 0, product = 0, second = 0;
  const std::int64_t half = early == 0 ? 0 : std::int64_t{1} << (early - 1);
  if (__builtin_add_overflow(p, half, &rounded)) return false;
  rounded >>= early;
  if (__builtin_mul_overflow(rounded, std::int64_t{std::abs(r.first[0])}, &product)) return false;
  if (!r.second.empty() &&
      __builtin_mul_overflow(q, std::int64_t{std::abs(r.second[0])}, &second)) {
    return false;
  }
  return !__builtin_add_overflow(product, second, &sum) &&
         !__builtin_add_overflow(sum, std::int64_t{1} << (r.shift[0] - 1), &sum);
}

TEST(Bounds, OfRequantizersAreExact) {
  Random random(1, Stream::kTest);
  std::size_t held = 0;
  constexpr int kRequantizers = 20000;
  for (int i = 0; i < kRequantizers; ++i) {
    Requantizer r;
    const auto factor = [&] {
      return static_cast<std::int32_t>(random.below(1u << 25)) - (1 << 24);
    };
    r.first = {factor()};
    if (random.below(2) == 0) r.second = {factor()};
    r.shift = {static_cast<std::int32_t>(1 + random.below(52))};
    if (random.below(2) == 0) r.early = {static_cast<std::int32_t>(random.below(33))};
    // Magnitudes of every size up to 2^63 - 1.
    const auto value = [&] {
      const std::uint64_t bits = std::uint64_t{random.bits()} << 32 | random.bits();
      return static_cast<std::int64_t>(bits >> (1 + random.below(63)));
    };
    const std::int64_t p = value(), q = value();
    const bool expected = extremes_fit(r, p, q);
    EXPECT_EQ(fits_64_bits(r, 0, p, q), expected) << i;
    held += expected ? 1 : 0;
  }
  // Both answers are frequent.
  EXPECT_GT(held, kRequantizers / 5u);
  EXPECT_LT(held, kRequantizers * 4u / 5u);
}

TEST(Bounds, OfRequantizersAtTheEdge) {
  Requantizer r;
  r.first = {3};
  r.shift = {5};
  const std::int64_t largest = (kLargestInteger - 16) / 3;
  EXPECT_TRUE(fits_64_bits(r, 0, largest, 0));
  EXPECT_FALSE(fits_64_bits(r, 0, largest + 1, 0));
  r.first = {0};
  EXPECT_TRUE(fits_64_bits(r, 0, kLargestInteger, 0));
  r.early = {4};
  EXPECT_FALSE(fits_64_bits(r, 0, kLargestInteger, 0)) << "rounding itself overflows";
}

TEST(Bounds, OfRowsAreReached) {
  const IntegerMatrix m{
      .rows = 2, .columns = 3, .bits = 8, .weight = {1, -2, 3, 0, 0, -7}, .bias = {-5, 4}};
  EXPECT_EQ(row_bound(m, 0, 10), 10 * (1 + 2 + 3) + 5);
  EXPECT_EQ(row_bound(m, 1, 1), 7 + 4);
  EXPECT_EQ(magnitude({.quant_min = -128, .quant_max = 127}), 128);
  EXPECT_EQ(magnitude({.quant_min = 0, .quant_max = 255}), 255);
}

// No sum of class scores overflows up to the longest sequence, and longer ones are refused.
TEST(Bounds, OfTheLongestSequenceAreThoseOfItsScores) {
  constexpr std::int64_t kLongest = std::int64_t{1} << 36;
  for (std::uint32_t number = 0; number < 200; ++number) {
    const IntegerNetwork n = fixtures::RandomNetwork(number).make();
    const std::int64_t longest = longest_sequence(n);
    ASSERT_GT(longest, 0);
    if (n.pool_last) {
      EXPECT_EQ(longest, kLargestInteger);
      continue;
    }
    EXPECT_LE(longest, kLongest);
    for (std::size_t k = 0; k < n.outputs; ++k) {
      std::int64_t sum = 0;
      EXPECT_FALSE(
          __builtin_mul_overflow(longest, row_bound(n.decoder, k, magnitude(n.residual)), &sum));
    }
    require_length(n, static_cast<std::size_t>(longest), "network", "a sequence");
    EXPECT_THAT(
        [&] {
          require_length(n, static_cast<std::size_t>(longest) + 1, "network.safetensors", "x");
        },
        ThrowsMessage<Error>(AllOf(HasSubstr("network.safetensors"),
                                   HasSubstr(std::to_string(longest) + " steps, but x has"))));
  }
}

TEST(Bounds, OfSequencesThatGrow) {
  require_room(4, 5);
  EXPECT_THAT([] { require_room(5, 5); }, ThrowsMessage<Error>(HasSubstr("more than 5 steps")));
}

TEST(Bounds, OfScalesAreThoseOfNormalNumbers) {
  require_scale(0x1p-126, "site");
  require_scale(0x1p126, "site");
  for (const double scale : {0.0, -1.0, 0x1p-127, 0x1.8p126, std::nan("")}) {
    EXPECT_THAT([&] { require_scale(scale, "site"); },
                ThrowsMessage<Error>(AllOf(HasSubstr("site"), HasSubstr("2^-126 to 2^126"))));
  }
}

TEST(Bounds, NameTheTensorThatIsTooLarge) {
  IntegerNetwork n = fixtures::RandomNetwork(3).make();
  require_64_bits(n, "network");
  n.encoder.bias[0] = kLargestInteger / 2;
  n.encoder_codes.first[0] = 1 << 24;
  EXPECT_THAT([&] { require_64_bits(n, "network.safetensors"); },
              ThrowsMessage<Error>(
                  AllOf(HasSubstr("network.safetensors"), HasSubstr("'encoder.bias' holds"))));
}

}  // namespace
}  // namespace crosstate::integer
