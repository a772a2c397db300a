// Sites of two kinds, scalar integers and lanes, alone and mixed in one network.
#include "crosstate/integer/code_panels.h"

#include <gtest/gtest.h>

#include "crosstate/base/random.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/lane_sites.h"
#include "crosstate/integer/reference.h"
#include "crosstate/integer/testing.h"

namespace crosstate::integer {
namespace {

std::int64_t code(float v) { return static_cast<std::int64_t>(v); }

// Sites computed value by value, for states rounded to nearest.
class PlainSites {
 public:
  explicit PlainSites(const IntegerNetwork& n) : n_(n) {
    for (const IntegerBlock& b : n.blocks) states_.emplace_back(2 * b.shape.modes() * kLanes, 0);
  }

  void encode(const Stretch& t, kernels::ConstRows x, kernels::Rows sums) const {
    multiply(n_.encoder, t.columns(), x, sums);
  }
  void enter(std::size_t columns, kernels::Rows h) const {
    requantize(n_.encoder_codes, 0, n_.channels, columns, n_.residual, h, h, h);
  }
  void recur(std::size_t l, const Stretch& t, kernels::ConstRows u, kernels::Rows y) {
    const IntegerBlock& b = n_.blocks[l];
    for (std::size_t s = 0; s < b.shape.size(); ++s) {
      for (std::size_t i = b.shape.first[s]; i < b.shape.first[s + 1]; ++i) {
        for (std::size_t c = 0; c < t.columns(); ++c) {
          std::int64_t* x = &states_[l][2 * (i * kLanes + c % kLanes)];
          const std::int64_t ai = n_.complex ? b.ai[i] : 0, ci = n_.complex ? b.ci[i] : 0;
          const std::int64_t re =
              b.ar[i] * x[0] - ai * x[1] + (code(u.row(s)[c]) << b.input_shift[i]);
          const std::int64_t im = ai * x[0] + b.ar[i] * x[1];
          const std::int64_t most = n_.state_limit;
          x[0] = std::clamp(shifted(re, quant::kPoleFraction), -most, most);
          x[1] = std::clamp(shifted(im, quant::kPoleFraction), -most, most);
          y.row(s)[c] += static_cast<float>(b.cr[i] * x[0] - ci * x[1]);
        }
      }
    }
  }
  void activate(std::size_t l, std::size_t columns, kernels::Rows y, kernels::ConstRows u) const {
    const IntegerBlock& b = n_.blocks[l];
    requantize(b.output, 0, b.shape.size(), columns, b.ssm_output, y, u, y, b.d);
    look_up(b.activation_table, b.ssm_output, b.shape.size(), columns, y);
  }
  void linear(std::size_t l, const Stretch& t, kernels::ConstRows a, kernels::Rows z) const {
    multiply(n_.blocks[l].linear_map, t.columns(), a, z);
  }
  void linear_codes(std::size_t l, std::size_t columns, kernels::Rows z) const {
    requantize(n_.blocks[l].linear_codes, 0, n_.channels, columns, n_.blocks[l].linear, z, z, z);
  }
  void gate_codes(std::size_t l, std::size_t columns, kernels::Rows z) const {
    const IntegerBlock& b = n_.blocks[l];
    requantize(b.linear_codes, n_.channels, n_.channels, columns, b.linear, z, z, z);
    look_up(b.gate_table, b.linear, n_.channels, columns, z);
  }
  void add_residual(std::size_t l, std::size_t columns, kernels::ConstRows z,
                    kernels::Rows h) const {
    requantize(n_.blocks[l].sum, 0, n_.channels, columns, n_.residual, z, h, h);
  }

 private:
  static void multiply(const IntegerMatrix& m, std::size_t columns, kernels::ConstRows x,
                       kernels::Rows y) {
    for (std::size_t r = 0; r < m.rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        std::int64_t sum = m.bias[r];
        for (std::size_t i = 0; i < m.columns; ++i) {
          sum += m.weight[r * m.columns + i] * code(x.row(i)[c]);
        }
        y.row(r)[c] = static_cast<float>(sum);
      }
    }
  }
  static void requantize(const Requantizer& r, std::size_t first, std::size_t rows,
                         std::size_t columns, const CodeFormat& to, kernels::ConstRows p,
                         kernels::ConstRows q, kernels::Rows out,
                         const std::vector<std::int16_t>& second_by = {}) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t c = 0; c < columns; ++c) {
        std::int64_t sum = shifted(code(p.row(i)[c]), r.early_of(first + i)) * r.first[first + i];
        const std::int64_t by = second_by.empty() ? 1 : second_by[i];
        if (!r.second.empty()) sum += by * code(q.row(i)[c]) * r.second[first + i];
        const std::int64_t low = to.quant_min, high = to.quant_max;
        out.row(i)[c] = static_cast<float>(std::clamp(shifted(sum, r.shift[first + i]), low, high));
      }
    }
  }
  static void look_up(const std::vector<std::int32_t>& table, const CodeFormat& from,
                      std::size_t rows, std::size_t columns, kernels::Rows x) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t c = 0; c < columns; ++c) {
        float& v = x.row(i)[c];
        v = static_cast<float>(table[static_cast<std::size_t>(code(v) - from.quant_min)]);
      }
    }
  }

  const IntegerNetwork& n_;
  std::vector<std::vector<std::int64_t>> states_;  // [layer][N][16][2]
};

// Each weighted site uses one of the two kinds, drawn at random.
class MixedSites {
 public:
  MixedSites(LaneSites lanes, PlainSites plain, std::size_t layers, std::uint64_t seed)
      : lanes_(lanes), plain_(std::move(plain)) {
    Random random(seed, Stream::kTest);
    for (std::size_t i = 0; i < 1 + 2 * layers; ++i) in_lanes_.push_back(random.uniform() < 0.5);
  }

  void encode(const Stretch& t, kernels::ConstRows x, kernels::Rows sums) {
    on(0, [&](auto& sites) { sites.encode(t, x, sums); });
  }
  void enter(std::size_t columns, kernels::Rows h) {
    on(0, [&](auto& sites) { sites.enter(columns, h); });
  }
  void recur(std::size_t l, const Stretch& t, kernels::ConstRows u, kernels::Rows y) {
    on(1 + 2 * l, [&](auto& sites) { sites.recur(l, t, u, y); });
  }
  void activate(std::size_t l, std::size_t columns, kernels::Rows y, kernels::ConstRows u) {
    on(1 + 2 * l, [&](auto& sites) { sites.activate(l, columns, y, u); });
  }
  void linear(std::size_t l, const Stretch& t, kernels::ConstRows a, kernels::Rows z) {
    on(2 + 2 * l, [&](auto& sites) { sites.linear(l, t, a, z); });
  }
  void linear_codes(std::size_t l, std::size_t columns, kernels::Rows z) {
    on(2 + 2 * l, [&](auto& sites) { sites.linear_codes(l, columns, z); });
  }
  void gate_codes(std::size_t l, std::size_t columns, kernels::Rows z) {
    on(2 + 2 * l, [&](auto& sites) { sites.gate_codes(l, columns, z); });
  }
  void add_residual(std::size_t l, std::size_t columns, kernels::ConstRows z, kernels::Rows h) {
    on(2 + 2 * l, [&](auto& sites) { sites.add_residual(l, columns, z, h); });
  }

 private:
  template <class Call>
  void on(std::size_t site, const Call& call) {
    if (in_lanes_[site]) {
      call(lanes_);
    } else {
      call(plain_);
    }
  }
  LaneSites lanes_;
  PlainSites plain_;
  std::vector<bool> in_lanes_;
};

template <class Sites>
std::vector<std::int64_t> pooled(const IntegerNetwork& n, const data::Batch& batch,
                                 std::size_t group, Sites sites) {
  CodeMemory memory;
  run_codes(n, batch, group, sites, memory);
  return memory.pooled;
}

TEST(CodePanels, GiveTheSameCodesOnSitesOfEveryKind) {
  std::size_t compared = 0;
  for (int number = 0; number < 30; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = fixtures::sequences(number);
    const IntegerNetwork n = fixtures::network(number, set);
    if (n.state_rounding != kernels::RoundingMode::kNearest || !exact_in_float(n)) continue;
    const data::Batch batch = model::reference::batch_of(set);
    const LaneNetwork network(n);
    LaneStates states;
    for (std::size_t g = 0; g < batch.groups; ++g, ++compared) {
      const auto wanted = pooled(n, batch, g, PlainSites(n));
      EXPECT_EQ(pooled(n, batch, g, LaneSites(network, states)), wanted);
      const MixedSites mixed(LaneSites(network, states), PlainSites(n), n.blocks.size(),
                             static_cast<std::uint64_t>(number));
      EXPECT_EQ(pooled(n, batch, g, mixed), wanted);
    }
  }
  EXPECT_GE(compared, 40u);
}

}  // namespace
}  // namespace crosstate::integer
