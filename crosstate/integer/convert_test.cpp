// The float values of fake quantization follow from the deployed integers, value by value.
#include "crosstate/integer/convert.h"

#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/integer/testing.h"
#include "crosstate/model/network_state.h"
#include "crosstate/quant/poles.h"

namespace crosstate::integer {
namespace {

using Codes = std::vector<std::int16_t>;

// Includes the widest formats, whose biases have more than the 24 bits of binary32.
quant::QuantOptions format_of(int number) {
  quant::QuantOptions format = fixtures::format(number, number % 3 == 1);
  if (number % 11 == 10) {
    quant::QuantOptions wide;
    wide.preset = "w16a16s16";
    wide.weight_scales = format.weight_scales;
    wide.a.coding = format.a.coding;
    format = quant::resolved(wide);
  }
  return format;
}

class Conversion : public testing::TestWithParam<int> {
 protected:
  // `scale`: of a value, by its place.
  template <class Values, class ScaleOf>
  static void expect_values(const Values& values, const Codes& codes, ScaleOf scale,
                            const std::string& what) {
    ASSERT_EQ(values.size(), codes.size()) << what;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      EXPECT_EQ(values[i], static_cast<float>(codes[i]) * scale(i)) << what << ' ' << i;
      // Dividing by the scale gives the same code.
      EXPECT_EQ(codes[i], std::lround(values[i] / scale(i))) << what << ' ' << i;
    }
  }
  static void expect_linear(const AlignedFloats& weight, const AlignedFloats& bias,
                            const std::vector<float>& scales, double input_scale,
                            const IntegerMatrix& m, const std::string& what) {
    ASSERT_EQ(scales.size(), m.rows) << what;
    expect_values(
        weight, m.weight, [&](std::size_t i) { return scales[i / m.columns]; }, what);
    ASSERT_EQ(bias.size(), m.bias.size()) << what;
    for (std::size_t o = 0; o < m.rows; ++o) {
      const double step = scales[o] * input_scale;
      EXPECT_EQ(bias[o], static_cast<float>(static_cast<double>(m.bias[o]) * step)) << what << o;
      EXPECT_EQ(static_cast<double>(m.bias[o]), std::nearbyint(bias[o] / step)) << what << o;
    }
  }
  static void expect_format(const model::Quantizer& q, const CodeFormat& format,
                            const std::string& what) {
    EXPECT_EQ(q.low, static_cast<float>(format.quant_min)) << what;
    EXPECT_EQ(q.high, static_cast<float>(format.quant_max)) << what;
    EXPECT_EQ(q.scale[0], static_cast<float>(format.scale)) << what;
  }
  static void expect_table(const model::CodeTable& table, const std::vector<std::int32_t>& codes,
                           const CodeFormat& format, const std::string& what) {
    ASSERT_EQ(table.values.size(), codes.size()) << what;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      EXPECT_EQ(table.values[i], static_cast<float>(codes[i] * format.scale)) << what << i;
    }
  }
};

TEST_P(Conversion, ValuesAreCodesTimesScales) {
  const int number = GetParam();
  const data::Dataset set = fixtures::sequences(number);
  const model::Network network = fixtures::rounded_network(number, set, format_of(number));
  const model::Coefficients c = network.state().deployed_coefficients();
  const IntegerNetwork n = to_integers(network);
  expect_format(c.input, n.input, "input");
  expect_format(c.residual, n.residual, "residual");
  expect_linear(c.encoder, c.encoder_bias, c.encoder_codes.weight.scales, n.input.scale, n.encoder,
                "encoder");
  expect_linear(c.decoder, c.decoder_bias, c.decoder_codes.weight.scales, n.residual.scale,
                n.decoder, "decoder");
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    const IntegerBlock& b = n.blocks[l];
    const model::BlockCoefficients& f = c.blocks[l];
    const model::BlockQuantizers& q = c.quantizers[l];
    const auto last_place = [](std::size_t) { return std::ldexp(1.0f, -quant::kPoleFraction); };
    std::vector<float> c_scale;
    for (std::size_t s = 0; s < b.shape.size(); ++s) {
      c_scale.insert(c_scale.end(), b.shape.modes(s), f.codes.c_scale[s]);
    }
    const auto of_mode = [&](std::size_t i) { return c_scale[i]; };
    expect_values(f.ar, b.ar, last_place, "A.real");
    expect_values(f.cr, b.cr, of_mode, "C.real");
    if (n.complex) {
      expect_values(f.ai, b.ai, last_place, "A.imaginary");
      expect_values(f.ci, b.ci, of_mode, "C.imaginary");
    }
    for (std::size_t i = 0; i < b.input_shift.size(); ++i) {
      EXPECT_EQ(f.gain[i], quant::gain_value(b.input_shift[i])) << i;
    }
    expect_values(
        f.d, b.d, [&](std::size_t i) { return f.codes.d.scales[i]; }, "D");
    expect_linear(f.weight, f.bias, f.codes.linear.weight.scales, b.activation.scale, b.linear_map,
                  "linear");
    expect_format(q.ssm_output, b.ssm_output, "ssm_output");
    expect_format(q.activation, b.activation, "activation");
    expect_table(q.activation_table, b.activation_table, b.activation, "activation");
    if (!n.gated) continue;
    expect_format(q.linear, b.linear, "linear");
    expect_format(q.gate, b.gate, "gate");
    expect_table(q.gate_table, b.gate_table, b.gate, "gate");
  }
}

INSTANTIATE_TEST_SUITE_P(Numbers, Conversion, testing::Range(0, 84));

TEST(ConversionScheme, KeepsTheSettingsThatNumbersDoNotTell) {
  const int number = 3;
  quant::QuantOptions format = fixtures::format(number, true);
  format.c.scales = quant::ScaleKind::kFree;
  format.d.granularity = quant::Granularity::kChannel;
  format.ssm_output.scales = quant::ScaleKind::kFree;
  const model::Network network =
      fixtures::rounded_network(number, fixtures::sequences(number), format);
  const QuantizationScheme scheme = to_integers(network).scheme.value();
  EXPECT_EQ(scheme.c, (WeightScheme{format.c.granularity.value(), quant::ScaleKind::kFree}));
  EXPECT_EQ(scheme.d, (WeightScheme{quant::Granularity::kChannel, quant::ScaleKind::kPowerOfTwo}));
  EXPECT_EQ(scheme.weight,
            (WeightScheme{format.weight.granularity.value(), quant::ScaleKind::kPowerOfTwo}));
  EXPECT_EQ(scheme.coding, format.a.coding);
  EXPECT_EQ(scheme.ssm_output, quant::ScaleKind::kFree);
  EXPECT_EQ(scheme.residual, quant::ScaleKind::kPowerOfTwo);
  EXPECT_EQ(scheme.activation_function, network.options().activation);
  EXPECT_EQ(scheme.gate_function, network.options().gate);
  EXPECT_EQ(scheme.parameters, network.parameter_count());
}

}  // namespace
}  // namespace crosstate::integer
