#include "crosstate/crossbar/driven_columns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/crossbar/lane_product.h"
#include "crosstate/kernels/dispatch.h"

namespace crosstate::crossbar {
namespace {

struct Case {
  std::size_t rows, columns, steps;
  bool noise, cell_noise, distorts, rounds, corrects, own, lane_weights;
};

Case drawn(Random& random) {
  const auto some = [&](std::uint32_t below) { return std::size_t{random.below(below)}; };
  const auto coin = [&] { return random.below(2) == 1; };
  return {1 + some(40), 1 + some(11), 1 + some(3), coin(), coin(),
          coin(),       coin(),       coin(),      coin(), coin()};
}

struct Inputs {
  DrivenColumns table;
  AlignedFloats codes, driven, weights;
};

Inputs inputs(const Case& of, Random& random) {
  Inputs in;
  const auto normal = [&] { return static_cast<float>(random.normal()); };
  DrivenColumns& t = in.table;
  t.first.push_back(0);
  for (std::size_t c = 0; c < of.columns; ++c) {
    for (std::uint32_t r = 0; r < of.rows; ++r) {
      if (random.below(4) == 0) t.rows.push_back(r);
    }
    t.first.push_back(static_cast<std::uint32_t>(t.rows.size()));
    ColumnConversion& conversion = t.conversions.emplace_back();
    conversion.step = 0.25f * static_cast<float>(1 + random.below(5));
    conversion.inverse = 1 / conversion.step;
    conversion.distorts = of.distorts;
    if (of.distorts) {
      conversion.gain = 1 + 0.1f * normal();
      conversion.shift = normal();
      conversion.bend = normal();
      conversion.step_of_range = 0.02f;
    }
    if (of.rounds && random.below(3) > 0) {
      conversion.high = 31;
      conversion.between = random.below(2) == 0 ? conversion.step / 2 : 0;
    }
    if (of.corrects) t.shift.push_back(normal());
    if (of.own) {
      t.own.push_back(random.below(3) == 0 ? 0 : normal());
      t.own_row.push_back(random.below(static_cast<std::uint32_t>(of.rows)));
    }
    if (of.noise) t.fixed_variance.push_back(std::abs(normal()));
  }
  for (std::size_t i = 0; i < t.rows.size(); ++i) {
    t.weights.push_back(normal());
    if (of.noise && of.cell_noise) t.variances.push_back(0.01f * std::abs(normal()));
  }
  for (std::size_t i = 0; i < of.rows * of.steps * kLanes; ++i) {
    in.codes.push_back(static_cast<float>(random.below(255)) - 127);
    in.driven.push_back(in.codes.back() + 0.1f * normal());
  }
  for (std::size_t i = 0; of.lane_weights && i < t.rows.size() * kLanes; ++i) {
    in.weights.push_back(normal());
  }
  return in;
}

// The same, one operation after the other.
AlignedFloats one_by_one(const Inputs& in, const ReadAddress& address, std::size_t first,
                         std::size_t count, std::size_t steps) {
  const DrivenColumns& t = in.table;
  const std::size_t panel = steps * kLanes;
  const kernels::ConstRows driven(in.driven.data(), panel), codes(in.codes.data(), panel);
  AlignedFloats out(count * panel, 0), variance(count * panel, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t c = first + i, from = t.first[c], end = t.first[c + 1];
    float* const sum = &out[i * panel];
    if (!in.weights.empty()) {
      lane_product(&in.weights[from * kLanes], &t.rows[from], end - from, steps, driven, sum);
    }
    for (std::size_t k = 0; k < panel; ++k) {
      if (!t.fixed_variance.empty()) variance[i * panel + k] = t.fixed_variance[c];
      for (std::size_t at = from; at < end; ++at) {
        const float x = driven.row(t.rows[at])[k];
        if (in.weights.empty()) sum[k] += t.weights[at] * x;
        if (!t.variances.empty()) variance[i * panel + k] += t.variances[at] * (x * x);
      }
    }
  }
  const kernels::Rows sums{out.data(), panel};
  if (!t.fixed_variance.empty()) {
    add_read_noise(address, first, count, steps, {variance.data(), panel}, sums);
  }
  convert_columns(std::span(t.conversions).subspan(first, count), panel, sums);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < panel; ++k) {
      float& x = sums.row(i)[k];
      if (!t.shift.empty()) x += t.shift[first + i];
      if (t.own.empty() || t.own[first + i] == 0) continue;
      x += t.own[first + i] * codes.row(t.own_row[first + i])[k];
    }
  }
  return out;
}

TEST(DrivenColumns, EqualTheOperationsOneByOne) {
  const ReadAddress address{0x123456789abcdef0u, 5, 1000, 77};
  Random random(3, Stream::kResidual, 0);
  for (int number = 0; number < 200; ++number) {
    const Case of = drawn(random);
    const Inputs in = inputs(of, random);
    const std::size_t first = random.below(static_cast<std::uint32_t>(of.columns));
    const std::size_t count = of.columns - first, panel = of.steps * kLanes;
    for (const std::string& target : kernels::kernel_targets()) {
      kernels::select_kernel_target(target);
      AlignedFloats out(count * panel, -1);
      read_driven(in.table, address, first, count, of.steps, {in.codes.data(), panel},
                  {in.driven.data(), panel}, in.weights.empty() ? nullptr : in.weights.data(),
                  {out.data(), panel});
      ASSERT_EQ(out, one_by_one(in, address, first, count, of.steps))
          << target << ", number " << number;
    }
  }
  kernels::select_kernel_target("best");
}

}  // namespace
}  // namespace crosstate::crossbar
