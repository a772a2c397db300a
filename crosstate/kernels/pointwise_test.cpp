#include "crosstate/kernels/pointwise.h"

#include <gtest/gtest.h>

#include <limits>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/reference/pointwise.h"
#include "crosstate/kernels/reference/testing.h"

namespace crosstate::kernels {
namespace {

using reference::expect_close;
using reference::expect_gradient;
using reference::on_every_target;
using reference::to_double;
using reference::uniform_doubles;
using reference::uniform_floats;
using DoublePanel = reference::Panel<double>;

constexpr Activation kActivations[] = {Activation::kIdentity, Activation::kRelu,
                                       Activation::kGelu,     Activation::kHardGelu,
                                       Activation::kSigmoid,  Activation::kHardSigmoid};
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Shape {
  std::size_t rows, columns;
  std::size_t stride;  // larger than the number of columns; the gap must not be touched
};

/// Runs `body` on random shapes, on every instruction set.
template <class Body>
void over_shapes(std::uint32_t item, int count, Body body) {
  on_every_target([&] {
    Random random(2, Stream::kTest, item);
    for (int i = 0; i < count; ++i) {
      Shape s{1 + random.below(40), kLanes * (1 + random.below(30)), 0};
      s.stride = s.columns + kLanes * random.below(3);
      SCOPED_TRACE(testing::Message() << s.rows << " rows, " << s.columns << " columns");
      body(random, s);
    }
  });
}

AlignedFloats panel(Random& random, const Shape& s, double low, double high) {
  return uniform_floats(random, s.rows * s.stride, low, high);
}

/// The columns of each row, without the gaps between rows.
template <class Values>
std::vector<double> columns_of(const Values& values, const Shape& s) {
  std::vector<double> out;
  for (std::size_t r = 0; r < s.rows; ++r) {
    for (std::size_t c = 0; c < s.columns; ++c) {
      out.push_back(static_cast<double>(values[r * s.stride + c]));
    }
  }
  return out;
}

AlignedFloats random_mask(Random& random, std::size_t columns) {
  AlignedFloats mask(columns);
  for (float& m : mask) m = random.below(3) > 0 ? 1.0f : 0.0f;
  return mask;
}

TEST(Pointwise, LinearMapsMatchTheirSpecification) {
  over_shapes(1, 25, [](Random& random, const Shape& in) {
    const Shape out{1 + random.below(40), in.columns, in.columns + kLanes};
    const AlignedFloats x = panel(random, in, -1, 1), gy = panel(random, out, -1, 1);
    const AlignedFloats w = uniform_floats(random, out.rows * in.rows, -1, 1);
    const AlignedFloats bias = uniform_floats(random, out.rows, -1, 1);
    auto wide_x = to_double(x), wide_w = to_double(w), wide_bias = to_double(bias);
    for (bool with_bias : {false, true}) {
      AlignedFloats y(out.rows * out.stride, 7.0f);
      linear_forward(w.data(), with_bias ? bias.data() : nullptr, out.rows, in.rows, in.columns,
                     {x.data(), in.stride}, {y.data(), out.stride});
      std::vector<double> wanted(y.size(), 7);
      reference::linear_forward<double>(wide_w.data(), with_bias ? wide_bias.data() : nullptr,
                                        out.rows, in.rows, in.columns, {wide_x.data(), in.stride},
                                        {wanted.data(), out.stride});
      expect_close(y, wanted, kLinearTolerance, "y");

      auto wide_gy = to_double(gy);
      std::vector<double> gw(w.size(), 0.5), gb(out.rows, 0.5), wanted_w = gw, wanted_b = gb;
      linear_adjoint_weight(out.rows, in.rows, in.columns, {gy.data(), out.stride},
                            {x.data(), in.stride}, gw.data(), with_bias ? gb.data() : nullptr);
      reference::linear_adjoint_weight<double>(
          out.rows, in.rows, in.columns, {wide_gy.data(), out.stride}, {wide_x.data(), in.stride},
          wanted_w.data(), with_bias ? wanted_b.data() : nullptr);
      expect_close(gw, wanted_w, kLinearTolerance, "gw");
      expect_close(gb, wanted_b, kLinearTolerance, "gb");
    }
  });
}

TEST(Pointwise, ActivationsMatchTheirSpecification) {
  on_every_target([] {
    Random random(2, Stream::kTest, 2);
    AlignedFloats x = uniform_floats(random, 4096, -20, 20);
    for (std::size_t i = 0; i < 2048; ++i) x[i] *= 0.2f;
    const float special[] = {0,    -0.0f, 1e-30f, -1e-30f, 1.5f,  -1.5f,  2,      -2,     13,
                             -13,  14,    -14,    87,      -87,   88,     -88,    100,    -100,
                             1e6f, -1e6f, 1e30f,  -1e30f,  3e38f, -3e38f, 1e-45f, -1e-45f};
    std::copy(std::begin(special), std::end(special), x.begin());
    for (Activation f : kActivations) {
      AlignedFloats y(x.size()), again(x.size()), slope(x.size());
      activation_forward(f, 1, x.size(), {x.data(), x.size()}, {y.data(), y.size()});
      activation_with_slope(f, 1, x.size(), {x.data(), x.size()}, {again.data(), x.size()},
                            {slope.data(), x.size()});
      ASSERT_EQ(y, again);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double in = static_cast<double>(x[i]), unit = std::max(1.0, std::fabs(in));
        ASSERT_NEAR(y[i], reference::activation(f, in), kActivationTolerance * unit)
            << static_cast<int>(f) << " at " << in;
        ASSERT_NEAR(slope[i], reference::activation_slope(f, in), kActivationTolerance * unit)
            << "slope of " << static_cast<int>(f) << " at " << in;
      }
    }
  });
}

TEST(Pointwise, ActivationsKeepTheirLimitsAndNans) {
  on_every_target([] {
    for (Activation f : kActivations) {
      AlignedFloats x(kLanes, kNan), y(kLanes), value(kLanes);
      x[0] = kInfinity;
      x[1] = -kInfinity;
      activation_forward(f, 1, kLanes, {x.data(), kLanes}, {y.data(), kLanes});
      const bool bounded = f == Activation::kSigmoid || f == Activation::kHardSigmoid;
      EXPECT_EQ(y[0], bounded ? 1 : kInfinity);
      EXPECT_TRUE(y[1] == 0 || f == Activation::kIdentity || std::fabs(y[1]) < 1e-30f);
      for (std::size_t i = 2; i < kLanes; ++i) EXPECT_TRUE(std::isnan(y[i])) << static_cast<int>(f);
      activation_with_slope(f, 1, kLanes, {x.data(), kLanes}, {value.data(), kLanes},
                            {y.data(), kLanes});
      if (f == Activation::kIdentity) continue;
      EXPECT_NEAR(y[0], bounded ? 0 : 1, 1e-30);
      EXPECT_NEAR(y[1], 0, 1e-30);
    }
  });
}

TEST(Pointwise, ProductsSumsAndScalingMatchTheirSpecification) {
  over_shapes(3, 25, [](Random& random, const Shape& s) {
    const AlignedFloats a = panel(random, s, -3, 3), b = panel(random, s, -3, 3);
    const AlignedFloats scale = uniform_floats(random, s.rows, -2, 2);
    const AlignedFloats shift = uniform_floats(random, s.rows, -2, 2);
    auto wide_a = to_double(a), wide_b = to_double(b);
    const DoublePanel pa{wide_a.data(), s.stride}, pb{wide_b.data(), s.stride};

    AlignedFloats out = a;
    multiply(s.rows, s.columns, {out.data(), s.stride}, {b.data(), s.stride},
             {out.data(), s.stride});
    std::vector<double> wanted = wide_a;
    reference::multiply(s.rows, s.columns, pa, pb, DoublePanel{wanted.data(), s.stride});
    expect_close(out, wanted, kLinearTolerance, "product");

    out = b;
    const auto wide_scale = to_double(scale), wide_shift = to_double(shift);
    for (bool scaled : {false, true}) {
      out = b;
      accumulate(scaled ? scale.data() : nullptr, s.rows, s.columns, {a.data(), s.stride},
                 {out.data(), s.stride});
      wanted = wide_b;
      reference::accumulate(scaled ? wide_scale.data() : nullptr, s.rows, s.columns, pa,
                            DoublePanel{wanted.data(), s.stride});
      expect_close(out, wanted, kLinearTolerance, "sum");
    }

    out = a;
    multiply_add(s.rows, s.columns, {out.data(), s.stride}, {b.data(), s.stride},
                 {a.data(), s.stride}, {out.data(), s.stride});
    wanted = wide_a;
    reference::multiply_add(s.rows, s.columns, pa, pb, pa, DoublePanel{wanted.data(), s.stride});
    expect_close(out, wanted, kLinearTolerance, "product and sum");

    for (bool with_shift : {false, true}) {
      out = a;
      affine_forward(scale.data(), with_shift ? shift.data() : nullptr, s.rows, s.columns,
                     {out.data(), s.stride}, {out.data(), s.stride});
      wanted = wide_a;
      reference::affine_forward(wide_scale.data(), with_shift ? wide_shift.data() : nullptr, s.rows,
                                s.columns, pa, DoublePanel{wanted.data(), s.stride});
      expect_close(out, wanted, kLinearTolerance, "affine");
    }
  });
}

TEST(Pointwise, RowSumsMatchTheirSpecification) {
  over_shapes(4, 25, [](Random& random, const Shape& s) {
    AlignedFloats a = panel(random, s, -1, 3), b = panel(random, s, -1, 3);
    const AlignedFloats mask = random_mask(random, s.columns);
    for (const float* m : {static_cast<const float*>(nullptr), mask.data()}) {
      if (m != nullptr) {  // masked values may be arbitrary
        for (std::size_t c = 0; c < s.columns; ++c) {
          if (mask[c] == 0) a[c] = b[c] = c % 2 == 0 ? kNan : kInfinity;
        }
      }
      auto wide_a = to_double(a), wide_b = to_double(b);
      const DoublePanel pa{wide_a.data(), s.stride}, pb{wide_b.data(), s.stride};
      std::vector<double> sum(s.rows, 1), dot(s.rows, 2), wanted_sum = sum, wanted_dot = dot;
      row_sums(s.rows, s.columns, m, {a.data(), s.stride}, {b.data(), s.stride}, sum.data(),
               dot.data());
      reference::row_sums(s.rows, s.columns, m, pa, pb, wanted_sum.data(), wanted_dot.data());
      expect_close(sum, wanted_sum, kLinearTolerance, "sum", std::sqrt(s.columns));
      expect_close(dot, wanted_dot, kLinearTolerance, "dot", std::sqrt(s.columns));
    }
  });
}

TEST(Pointwise, TablesMatchTheirSpecificationBitForBit) {
  over_shapes(8, 25, [](Random& random, const Shape& s) {
    const int entries = 1 + static_cast<int>(random.uniform() * 300);
    const double low = -std::floor(random.uniform() * entries);
    const double scale = std::exp(random.uniform(-6, 3));
    const AlignedFloats table = uniform_floats(random, static_cast<std::size_t>(entries), -2, 2);
    AlignedFloats x(s.rows * s.stride);
    for (float& v : x) {  // codes, some outside either end
      v = static_cast<float>(std::nearbyint(random.uniform(low - 3, low + entries + 3)) * scale);
    }
    x[0] = kNan;
    x[1] = 1e30f;
    auto wide_x = to_double(x), wide_table = to_double(table);
    std::vector<double> wanted(x.size());
    AlignedFloats y(x.size());
    table_forward(table.data(), table.size(), static_cast<float>(low),
                  static_cast<float>(1 / scale), s.rows, s.columns, {x.data(), s.stride},
                  {y.data(), s.stride});
    reference::table_forward(wide_table.data(), table.size(), low, 1 / scale, s.rows, s.columns,
                             DoublePanel{wide_x.data(), s.stride},
                             DoublePanel{wanted.data(), s.stride});
    for (std::size_t r = 0; r < s.rows; ++r) {
      for (std::size_t c = 0; c < s.columns; ++c) {
        const std::size_t i = r * s.stride + c;
        if (std::isnan(wanted[i])) {
          EXPECT_TRUE(std::isnan(y[i]));
        } else {
          EXPECT_EQ(y[i], wanted[i]);
        }
      }
    }
  });
}

TEST(Pointwise, LayerNormMatchesItsSpecification) {
  over_shapes(5, 40, [](Random& random, const Shape& s) {
    const double size = std::pow(10.0, random.uniform(-3, 4)), offset = random.uniform(-3, 3);
    AlignedFloats x = panel(random, s, (offset - 1) * size, (offset + 1) * size);
    for (std::size_t i = 0; i < x.size();
         ++i) {  // a column of equal values would be dominated by rounding errors
      x[i] += static_cast<float>(i / s.stride % 2 == 0 ? 2 * size : -2 * size);
    }
    const AlignedFloats gy = panel(random, s, -1, 1);
    const AlignedFloats gamma = uniform_floats(random, s.rows, -2, 2);
    const AlignedFloats beta = uniform_floats(random, s.rows, -2, 2);
    auto wide_x = to_double(x), wide_gy = to_double(gy);
    const auto wide_gamma = to_double(gamma), wide_beta = to_double(beta);

    AlignedFloats y(x.size());
    std::vector<double> wanted(x.size());
    layer_norm_forward(gamma.data(), beta.data(), s.rows, s.columns, {x.data(), s.stride},
                       {y.data(), s.stride});
    reference::layer_norm_forward<double>(wide_gamma.data(), wide_beta.data(), s.rows, s.columns,
                                          {wide_x.data(), s.stride}, {wanted.data(), s.stride});
    expect_close(y, wanted, kNormTolerance, "y");

    AlignedFloats gx(x.size());
    std::vector<double> ggamma(s.rows, 1), gbeta(s.rows, 1), wanted_gamma = ggamma,
                                                             wanted_beta = gbeta;
    layer_norm_adjoint(gamma.data(), s.rows, s.columns, {x.data(), s.stride}, {gy.data(), s.stride},
                       {gx.data(), s.stride}, ggamma.data(), gbeta.data());
    reference::layer_norm_adjoint<double>(
        wide_gamma.data(), s.rows, s.columns, {wide_x.data(), s.stride}, {wide_gy.data(), s.stride},
        {wanted.data(), s.stride}, wanted_gamma.data(), wanted_beta.data());
    // The three terms of gx are of the order of 1 / deviation, even if they cancel.
    expect_close(columns_of(gx, s), columns_of(wanted, s), kNormTolerance, "gx",
                 s.rows == 1 ? 316.0 : std::min(100.0, 0.3 / size));
    expect_close(ggamma, wanted_gamma, kNormTolerance, "ggamma", std::sqrt(s.columns));
    expect_close(gbeta, wanted_beta, kNormTolerance, "gbeta", std::sqrt(s.columns));
  });
}

TEST(Pointwise, FakeQuantizationMatchesItsSpecificationBitForBit) {
  over_shapes(6, 40, [](Random& random, const Shape& s) {
    AlignedFloats x = panel(random, s, -3, 3);
    AlignedFloats scale(s.rows);
    for (float& v : scale) v = static_cast<float>(std::pow(2.0, random.uniform(-6, 0)));
    if (random.below(2) == 0) {  // powers of two: every tie is hit exactly
      for (float& v : scale) v = std::exp2(std::nearbyint(std::log2(v)));
      for (float& v : x) v = std::nearbyint(v * 64) / 128;
    }
    x[0] = 1e30f;
    x[1] = -1e30f;
    const float high = random.below(2) == 0 ? 7.0f : 127.0f, low = random.below(2) == 0 ? 0 : -high;
    AlignedFloats wanted = x, y = x;
    reference::fake_quantize_forward<float>(scale.data(), low, high, s.rows, s.columns,
                                            {x.data(), s.stride}, {wanted.data(), s.stride});
    fake_quantize_forward(scale.data(), low, high, s.rows, s.columns, {y.data(), s.stride},
                          {y.data(), s.stride});
    EXPECT_EQ(y, wanted);

    const AlignedFloats gy = panel(random, s, -1, 1);
    for (const RangeGradient kind : {RangeGradient::kSteps, RangeGradient::kClipping}) {
      AlignedFloats gx = gy, wanted_gx = gy;
      std::vector<double> glog(s.rows, 1), wanted_log = glog;
      reference::fake_quantize_adjoint<float>(scale.data(), low, high, kind, s.rows, s.columns,
                                              {x.data(), s.stride}, {wanted_gx.data(), s.stride},
                                              {wanted_gx.data(), s.stride}, wanted_log.data());
      fake_quantize_adjoint(scale.data(), low, high, kind, s.rows, s.columns, {x.data(), s.stride},
                            {gx.data(), s.stride}, {gx.data(), s.stride}, glog.data());
      EXPECT_EQ(gx, wanted_gx);
      expect_close(glog, wanted_log, kLinearTolerance, "glog", 10.0);
      gx = gy;
      fake_quantize_adjoint(scale.data(), low, high, kind, s.rows, s.columns, {x.data(), s.stride},
                            {gx.data(), s.stride}, {gx.data(), s.stride}, nullptr);
      EXPECT_EQ(gx, wanted_gx);
    }
  });
}

TEST(Pointwise, FakeQuantizationKeepsNans) {
  on_every_target([] {
    AlignedFloats x(kLanes, kNan);
    const float scale = 0.5f;
    fake_quantize_forward(&scale, -7, 7, 1, kLanes, {x.data(), kLanes}, {x.data(), kLanes});
    for (float v : x) EXPECT_TRUE(std::isnan(v));
  });
}

// --- the specification's adjoints against differences
// ---------------------------------------------

double weighted(const std::vector<double>& y, const std::vector<double>& gy) {
  double total = 0;
  for (std::size_t i = 0; i < y.size(); ++i) total += y[i] * gy[i];
  return total;
}

struct GradientSetup {
  static constexpr std::size_t kRows = 5, kColumns = 4;
  Random random{2, Stream::kTest, 20};
  std::vector<double> x = uniform_doubles(random, kRows* kColumns, -2.5, 2.5);
  std::vector<double> y = std::vector<double>(x.size());
  std::vector<double> gy = uniform_doubles(random, x.size(), -1, 1);
  std::vector<double> gx = std::vector<double>(x.size());
  static DoublePanel panel(std::vector<double>& values) { return {values.data(), kColumns}; }
};

TEST(PointwiseReference, LinearAdjointIsTheGradient) {
  GradientSetup s;
  const std::size_t outputs = 3;
  auto w = uniform_doubles(s.random, outputs * s.kRows, -1, 1);
  auto bias = uniform_doubles(s.random, outputs, -1, 1);
  auto gy = uniform_doubles(s.random, outputs * s.kColumns, -1, 1);
  std::vector<double> y(gy.size()), gw(w.size()), gb(outputs), transposed(w.size());
  const auto loss = [&] {
    reference::linear_forward(w.data(), bias.data(), outputs, s.kRows, s.kColumns, s.panel(s.x),
                              s.panel(y));
    return weighted(y, gy);
  };
  reference::linear_adjoint_weight(outputs, s.kRows, s.kColumns, s.panel(gy), s.panel(s.x),
                                   gw.data(), gb.data());
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t i = 0; i < s.kRows; ++i) transposed[i * outputs + o] = w[o * s.kRows + i];
  }
  reference::linear_forward<double>(transposed.data(), nullptr, s.kRows, outputs, s.kColumns,
                                    s.panel(gy), s.panel(s.gx));
  expect_gradient(w, gw, loss, "weight");
  expect_gradient(bias, gb, loss, "bias");
  expect_gradient(s.x, s.gx, loss, "x");
}

TEST(PointwiseReference, ActivationSlopesAreTheGradient) {
  for (Activation f : kActivations) {
    SCOPED_TRACE(static_cast<int>(f));
    GradientSetup s;
    const auto loss = [&] {
      reference::activation_forward(f, s.kRows, s.kColumns, s.panel(s.x), s.panel(s.y));
      return weighted(s.y, s.gy);
    };
    std::vector<double> slope(s.x.size());
    reference::activation_with_slope(f, s.kRows, s.kColumns, s.panel(s.x), s.panel(s.y),
                                     s.panel(slope));
    reference::multiply(s.kRows, s.kColumns, s.panel(s.gy), s.panel(slope), s.panel(s.gx));
    expect_gradient(s.x, s.gx, loss, "x");
  }
}

TEST(PointwiseReference, GateAdjointsAreTheGradient) {
  for (Activation f : {Activation::kSigmoid, Activation::kHardSigmoid}) {
    SCOPED_TRACE(static_cast<int>(f));
    GradientSetup s;
    const auto loss = [&] {
      reference::activation_forward(f, s.kRows, s.kColumns, s.panel(s.x), s.panel(s.y));
      return weighted(s.y, s.gy);
    };
    loss();
    reference::gate_adjoint(f, s.kRows, s.kColumns, s.panel(s.y), s.panel(s.gy), s.panel(s.gx));
    expect_gradient(s.x, s.gx, loss, "x");
  }
}

TEST(Pointwise, GateAdjointMatchesItsSpecification) {
  over_shapes(5, 10, [](Random& random, const Shape& s) {
    const AlignedFloats gy = panel(random, s, -1, 1);
    AlignedFloats value = panel(random, s, -0.2f, 1.2f), out(gy.size());
    for (float& v : value) v = std::clamp(v, 0.0f, 1.0f);
    auto wide_value = to_double(value), wide_gy = to_double(gy);
    for (Activation f : {Activation::kSigmoid, Activation::kHardSigmoid}) {
      std::vector<double> wanted(gy.size());
      gate_adjoint(f, s.rows, s.columns, {value.data(), s.stride}, {gy.data(), s.stride},
                   {out.data(), s.stride});
      reference::gate_adjoint(f, s.rows, s.columns, DoublePanel{wide_value.data(), s.stride},
                              DoublePanel{wide_gy.data(), s.stride},
                              DoublePanel{wanted.data(), s.stride});
      expect_close(out, wanted, kLinearTolerance, "gate");
    }
  });
}

TEST(PointwiseReference, RowSumsAndScalingAreTheGradientOfAffineMaps) {
  GradientSetup s;
  auto scale = uniform_doubles(s.random, s.kRows, -1, 1);
  auto shift = uniform_doubles(s.random, s.kRows, -1, 1);
  const auto loss = [&] {
    reference::affine_forward(scale.data(), shift.data(), s.kRows, s.kColumns, s.panel(s.x),
                              s.panel(s.y));
    return weighted(s.y, s.gy);
  };
  std::vector<double> gshift(s.kRows), gscale(s.kRows);
  reference::row_sums(s.kRows, s.kColumns, nullptr, s.panel(s.gy), s.panel(s.x), gshift.data(),
                      gscale.data());
  reference::affine_forward<double>(scale.data(), nullptr, s.kRows, s.kColumns, s.panel(s.gy),
                                    s.panel(s.gx));
  expect_gradient(scale, gscale, loss, "scale");
  expect_gradient(shift, gshift, loss, "shift");
  expect_gradient(s.x, s.gx, loss, "x");
}

TEST(PointwiseReference, LayerNormAdjointIsTheGradient) {
  GradientSetup s;
  auto gamma = uniform_doubles(s.random, s.kRows, -2, 2);
  auto beta = uniform_doubles(s.random, s.kRows, -2, 2);
  const auto loss = [&] {
    reference::layer_norm_forward(gamma.data(), beta.data(), s.kRows, s.kColumns, s.panel(s.x),
                                  s.panel(s.y));
    return weighted(s.y, s.gy);
  };
  std::vector<double> ggamma(s.kRows), gbeta(s.kRows);
  reference::layer_norm_adjoint(gamma.data(), s.kRows, s.kColumns, s.panel(s.x), s.panel(s.gy),
                                s.panel(s.gx), ggamma.data(), gbeta.data());
  expect_gradient(gamma, ggamma, loss, "gamma");
  expect_gradient(beta, gbeta, loss, "beta");
  expect_gradient(s.x, s.gx, loss, "x");
}

// The estimator treats the rounding error as constant: q = x / scale + error inside the range. With
// clipping, the error in units of x is constant: q scale = x + error.
TEST(PointwiseReference, FakeQuantizationAdjointIsTheGradientWithTheErrorHeld) {
  for (const RangeGradient kind : {RangeGradient::kSteps, RangeGradient::kClipping}) {
    GradientSetup s;
    const double low = -3, high = 3;
    auto logs = uniform_doubles(s.random, s.kRows, -1, 0);
    std::vector<double> scale(s.kRows), error(s.x.size());
    for (std::size_t r = 0; r < s.kRows; ++r) scale[r] = std::exp(logs[r]);
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      const double steps = s.x[i] / scale[i / s.kColumns];
      error[i] = std::floor(steps + 0.5) - steps;
    }
    const auto loss = [&] {
      for (std::size_t i = 0; i < s.x.size(); ++i) {
        const std::size_t r = i / s.kColumns;
        const double unit = std::exp(logs[r]), steps = s.x[i] / unit;
        const bool inside = low <= steps && steps <= high;
        const double held = kind == RangeGradient::kSteps ? unit : scale[r];
        s.y[i] = inside ? s.x[i] + held * error[i] : unit * std::clamp(steps, low, high);
      }
      return weighted(s.y, s.gy);
    };
    std::vector<double> glog(s.kRows);
    reference::fake_quantize_adjoint(scale.data(), low, high, kind, s.kRows, s.kColumns,
                                     s.panel(s.x), s.panel(s.gy), s.panel(s.gx), glog.data());
    expect_gradient(logs, glog, loss, "log scale");
    expect_gradient(s.x, s.gx, loss, "x");
  }
}

}  // namespace
}  // namespace crosstate::kernels
