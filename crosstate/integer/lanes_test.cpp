// Requantization in lanes against its definition in integers.
#include "crosstate/integer/lanes.h"

#include <gtest/gtest.h>

#include "crosstate/kernels/reference/testing.h"

namespace crosstate::integer {
namespace {

using kernels::reference::on_every_target;

constexpr std::size_t kRows = 5, kColumns = 7 * kLanes;  // groups of four vectors, and a remainder

struct Case {
  Requantizer factors;
  CodeFormat to, q;
  std::vector<std::int32_t> table;
  std::vector<std::int64_t> p, second;

  std::int32_t wanted(std::size_t row, std::size_t i) const {
    std::int64_t sum = p[i] * factors.first[row];
    if (!factors.second.empty()) sum += second[i] * factors.second[row];
    sum = (sum + (std::int64_t{1} << (factors.shift[row] - 1))) >> factors.shift[row];
    const auto code =
        static_cast<std::int32_t>(std::clamp<std::int64_t>(sum, to.quant_min, to.quant_max));
    return table.empty() ? code : table[static_cast<std::size_t>(code - to.quant_min)];
  }
};

// Factors with few bits make ties frequent, those with many bits near-ties.
Case random_case(std::uint32_t number) {
  Random random(number, Stream::kTest);
  Case c;
  const std::int32_t sizes[] = {3, 100, 256, 300, 1000};
  const auto size = sizes[number % 5];
  c.to.quant_min = number % 3 == 0 ? 0 : -static_cast<std::int32_t>(random.below(200));
  c.to.quant_max = c.to.quant_min + size - 1;
  c.q = {-127, 127};
  if (number % 4 != 0) {
    const std::int32_t base = number % 4 == 1 ? 0 : -300, span = number % 4 == 2 ? 2000 : 256;
    for (std::int32_t i = 0; i < size; ++i) {
      c.table.push_back(base + static_cast<std::int32_t>(random.below(span)));
    }
  }
  const bool coarse = number % 2 == 0, two = number % 7 < 4;
  for (std::size_t r = 0; r < kRows; ++r) {
    const auto shift = static_cast<std::int32_t>(coarse ? 3 + random.below(8) : 24);
    const std::uint32_t most = coarse ? 8 : 1 << 22;
    const auto factor = [&] { return static_cast<std::int32_t>(random.below(most)) - 2; };
    c.factors.shift.push_back(shift);
    c.factors.first.push_back(r == 0 ? 0 : factor());
    if (two) c.factors.second.push_back(factor());
  }
  for (std::size_t i = 0; i < kRows * kColumns; ++i) {
    c.p.push_back(static_cast<std::int64_t>(random.below(200001)) - 100000);
    if (i % 2 == 0) c.p.back() %= 1000;
    c.second.push_back(static_cast<std::int64_t>(random.below(255)) - 127);
  }
  return c;
}

TEST(RequantizeRows, IsItsDefinitionInWholeNumbers) {
  kernels::reference::on_every_target([] {
    for (std::uint32_t number = 0; number < 210; ++number) {
      SCOPED_TRACE(number);
      const Case c = random_case(number);
      const LaneFactors factors(c.factors, kRows, c.q);
      const CodeEntries entries(c.table);
      const kernels::LaneTable table = entries.lanes();
      AlignedFloats p = floats(c.p), q = floats(c.second);
      const kernels::Rows rows{p.data(), kColumns};
      kernels::requantize_rows(factors.to(c.to, c.table.empty() ? nullptr : &table), kRows,
                               kColumns, rows, {q.data(), kColumns}, rows);
      for (std::size_t i = 0; i < p.size(); ++i) {
        ASSERT_EQ(p[i], static_cast<float>(c.wanted(i / kColumns, i))) << i;
      }
    }
  });
}

TEST(RequantizeRows, RoundsSumsThatAreNotWholeToTheNearestCode) {
  kernels::reference::on_every_target([] {
    Requantizer r;
    r.first = {3};
    r.shift = {4};
    const LaneFactors factors(r, 1, {}, {}, false);
    AlignedFloats p(4 * kLanes);
    // Thresholds are at (k + 1/2) 16 / 3.
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double threshold = (static_cast<double>(i / 2) + 0.5) * 16 / 3;
      p[i] = static_cast<float>(threshold + (i % 2 == 0 ? -1e-4 : 1e-4));
    }
    const kernels::Rows rows{p.data(), p.size()};
    kernels::requantize_rows(factors.to({-127, 127}), 1, p.size(), rows, rows, rows);
    for (std::size_t i = 0; i < p.size(); ++i) {
      EXPECT_EQ(p[i], static_cast<float>(i / 2 + i % 2)) << i;
    }
  });
}

}  // namespace
}  // namespace crosstate::integer
