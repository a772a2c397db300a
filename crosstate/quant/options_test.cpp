#include "crosstate/quant/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "crosstate/base/error.h"

namespace crosstate::quant {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(QuantOptions, DefaultsAreValidAndEveryFieldHasHelp) {
  QuantOptions options;
  validate(options);
  FieldList list;
  fields(list, options);
  EXPECT_GT(list.all().size(), 40u);
  for (const Field& field : list.all()) {
    EXPECT_TRUE(field.key.starts_with("quant.")) << field.key;
    EXPECT_FALSE(field.help.empty()) << field.key;
  }
}

TEST(QuantOptions, AcceptsEveryWidthThatASiteCanHave) {
  for (const std::string site : {"state", "a", "input", "gate", "weight", "c"}) {
    const bool binary = site == "weight" || site == "c";
    for (int bits = -1; bits <= 16; ++bits) {
      QuantOptions options;
      FieldList list;
      fields(list, options);
      list.set("quant." + site + ".bits=" + std::to_string(bits));
      if (bits == 1 && !binary) {
        EXPECT_THAT([&] { validate(options); },
                    ThrowsMessage<Error>(HasSubstr("quant." + site + ".bits = 1, expected 0")));
      } else {
        validate(options);
      }
      EXPECT_THROW(list.set("quant." + site + ".bits=17"), Error);
    }
  }
}

TEST(QuantOptions, NamesOfValuesAreCheckedAndListed) {
  QuantOptions options;
  FieldList list;
  fields(list, options);
  list.set("quant.a.coding=polar");
  list.set("quant.c.granularity=tensor");
  list.set("quant.range_gradient=pact");
  EXPECT_EQ(options.a.coding, PoleCoding::kPolar);
  EXPECT_EQ(options.c.granularity, Granularity::kTensor);
  EXPECT_EQ(options.range_gradient, kernels::RangeGradient::kClipping);
  list.set("quant.c.granularity=");
  EXPECT_EQ(options.c.granularity, std::nullopt);
  EXPECT_THAT(
      [&] { list.set("quant.scales=log"); },
      ThrowsMessage<Error>(HasSubstr("quant.scales = \"log\", expected one of free, pow2")));
  EXPECT_THAT([&] { list.set("quant.scales="); },
              ThrowsMessage<Error>(HasSubstr("quant.scales = \"\", expected one of free, pow2")));
  EXPECT_THAT([&] { list.set("quant.linear.codes=affine"); },
              ThrowsMessage<Error>(HasSubstr("unknown key \"quant.linear.codes\"")));
}

TEST(QuantOptions, PresetsFillWhatSitesLeaveOpen) {
  QuantOptions options;
  options.preset = "w4a8s6";
  options.decoder.bits = 8;
  options.weight.scales = ScaleKind::kPowerOfTwo;
  options.linear.scales = ScaleKind::kFree;
  const QuantOptions sites = resolved(options);
  EXPECT_EQ(sites.encoder.bits, 4);
  EXPECT_EQ(sites.a.bits, 4);
  EXPECT_EQ(sites.decoder.bits, 8);
  EXPECT_EQ(sites.gate.bits, 8);
  EXPECT_EQ(sites.state.bits, 6);
  EXPECT_EQ(sites.weight.scales, ScaleKind::kPowerOfTwo);
  EXPECT_EQ(sites.c.scales, ScaleKind::kFree);
  EXPECT_EQ(sites.linear.scales, ScaleKind::kFree);
  EXPECT_EQ(sites.residual.scales, ScaleKind::kPowerOfTwo);
  EXPECT_EQ(sites.d.granularity, Granularity::kTensor);
  EXPECT_EQ(sites.c.granularity, Granularity::kChannel);

  EXPECT_EQ(quant_preset("float").state.bits, 0);
  EXPECT_EQ(quant_preset("w1a8s8").a.bits, 2);
  EXPECT_EQ(quant_preset("analog-64x64").a.coding, PoleCoding::kCartesian);
  EXPECT_EQ(quant_preset("analog-64x64").weight_noise, 0.02);
  EXPECT_EQ(uniform_bits(5).activation.bits, 5);
}

TEST(QuantOptions, RefusesOtherPresets) {
  for (const char* preset : {"", "w8", "w8a8s1", "w8a1s8", "w17a8s8", "w8a8s8x", "W8a8s8"}) {
    EXPECT_THAT([&] { quant_preset(preset); },
                ThrowsMessage<Error>(HasSubstr("quant.preset = \"" + std::string(preset))));
  }
}

TEST(QuantOptions, RoundTheStateAsItsSiteSays) {
  EXPECT_EQ(rounding_mode(StateSite()), kernels::RoundingMode::kNearest);
  EXPECT_EQ(rounding_mode({.rounding = StateRounding::kStochastic}),
            kernels::RoundingMode::kStochastic);
  EXPECT_EQ(rounding_mode({.residue_bits = 1}), kernels::RoundingMode::kNoiseShaped);
}

TEST(QuantOptions, GiveSlowModesLongerResidues) {
  StateSite site{.residue_bits = 9};
  EXPECT_EQ(residue_bits(site, 0.5), 9);
  site.residue = ResidueRule::kByPole;
  site.residue_margin = 0;
  EXPECT_EQ(residue_bits(site, 0.0), 0);
  EXPECT_EQ(residue_bits(site, 0.5), 1);
  EXPECT_EQ(residue_bits(site, {0, -0.75}), 2);
  EXPECT_EQ(residue_bits(site, 0.74), 2);
  EXPECT_EQ(residue_bits(site, 0.76), 3);
  EXPECT_EQ(residue_bits(site, 0.999), 9);
  EXPECT_EQ(residue_bits(site, 1.0), 9);
  site.residue_margin = 2;
  EXPECT_EQ(residue_bits(site, 0.5), 3);
  site.residue_margin = -2;
  EXPECT_EQ(residue_bits(site, 0.5), 0);
  EXPECT_EQ(residue_bits(site, 0.99), 5);
}

TEST(QuantOptions, RefuseResiduesOfStatesThatAreNotRoundedToNearest) {
  QuantOptions options;
  options.state.residue_bits = 3;
  EXPECT_NO_THROW(validate(options));
  options.state.rounding = StateRounding::kStochastic;
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("quant.state.residue_bits = 3 with "
                                             "quant.state.rounding = \"stochastic\"")));
  options.state = {.residue_bits = 15};
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("quant.state.residue_bits = 15")));
}

TEST(QuantOptions, RenewWhatEarlierFilesSayOfTheState) {
  QuantOptions options;
  FieldList list;
  fields(list, options);
  nlohmann::json settings = {{"quant", {{"state", {{"bits", 4}, {"rounding", "feedback"}}}}}};
  EXPECT_THAT([&] { list.from_json(settings, "file"); },
              ThrowsMessage<Error>(HasSubstr("write quant.state.residue_bits = 14")));
  renew_settings(settings);
  list.from_json(settings, "file");
  EXPECT_EQ(options.state, (StateSite{.bits = 4, .residue_bits = 14}));
  const nlohmann::json renewed = settings;
  renew_settings(settings);
  EXPECT_EQ(settings, renewed);
  for (nlohmann::json other : {nlohmann::json::object(), nlohmann::json{{"quant", 1}}}) {
    const nlohmann::json before = other;
    renew_settings(other);
    EXPECT_EQ(other, before);
  }
}

TEST(QuantOptions, KnowsWhereBatchNormsFold) {
  QuantOptions options;
  EXPECT_TRUE(folds_after_rounding(resolved(options)));
  options.weight_scales = ScaleKind::kPowerOfTwo;
  EXPECT_FALSE(folds_after_rounding(resolved(options)));
  options = {};
  options.granularity = Granularity::kTensor;
  EXPECT_FALSE(folds_after_rounding(resolved(options)));
  options.weight.bits = 0;
  EXPECT_TRUE(folds_after_rounding(resolved(options)));
}

TEST(QuantOptions, RefusesValuesSetInCode) {
  QuantOptions options;
  options.weight_noise = 2;
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("quant.weight_noise = 2")));
  options = {};
  options.c.range = WeightRange::kMean;
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("quant.c.range = \"mean\" with 8 bits")));
  options = {};
  options.array.partial_bits = 1;
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("quant.array.partial_bits = 1, expected 0 (not "
                                             "rounded) or 2 to 24 bits")));
  // The same range as for crossbar.partial_bits, from which training for a target takes the value.
  options.array.partial_bits = 24;
  EXPECT_NO_THROW(validate(options));
}

}  // namespace
}  // namespace crosstate::quant
