#include "crosstate/ptq/formats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "crosstate/integer/convert.h"

namespace crosstate::ptq {
namespace {

const SiteChoices& find(const std::vector<SiteChoices>& sites, const std::string& name) {
  return *std::find_if(sites.begin(), sites.end(),
                       [&](const SiteChoices& s) { return s.site == name; });
}

TEST(SiteChoices, AreValidFormatsInIntegers) {
  for (const int bits : {8, 10, 12}) {
    for (const SiteChoices& site : site_choices({}, false, true, bits)) {
      std::set<std::string> texts;
      ASSERT_GE(site.choices.size(), 2u) << site.site;
      for (const Choice& choice : site.choices) {
        quant::QuantOptions format = quant::resolved({});
        choice.apply(format);
        quant::validate(format);
        EXPECT_EQ(integer::site_in_floating_point(format, true), "") << choice.text;
        EXPECT_TRUE(texts.insert(choice.text).second) << site.site << ": " << choice.text;
      }
    }
  }
}

TEST(SiteChoices, StartWithTheMostPrecise) {
  quant::QuantOptions format = quant::resolved({});
  for (const SiteChoices& site : site_choices({}, false, true, 8)) site.choices[0].apply(format);
  EXPECT_EQ(format.weight.bits, 8);
  EXPECT_EQ(format.weight.scales, quant::ScaleKind::kFree);
  EXPECT_EQ(format.a.coding, quant::PoleCoding::kCartesian);
  EXPECT_EQ(format.a.bits, 14);
  EXPECT_EQ(format.state.bits, 8);
  EXPECT_EQ(format.state.residue_bits, 6);
  EXPECT_EQ(format.gate.bits, 8);
}

TEST(SiteChoices, KeepWhatTheSettingsName) {
  quant::QuantOptions named;
  named.weight.bits = 4;
  named.c.scales = quant::ScaleKind::kFree;
  named.a = {6, quant::PoleCoding::kPolar};
  named.state.bits = 7;
  const std::vector<SiteChoices> sites = site_choices(named, false, true, 8);
  for (const Choice& choice : find(sites, "weight").choices) {
    quant::QuantOptions format = quant::resolved(named);
    choice.apply(format);
    EXPECT_EQ(format.weight.bits, 4);
  }
  EXPECT_EQ(find(sites, "weight").choices.size(), 2u);  // kinds of scales
  EXPECT_EQ(find(sites, "c").choices.size(), 7u);
  ASSERT_EQ(find(sites, "a").choices.size(), 1u);
  quant::QuantOptions format;
  find(sites, "a").choices[0].apply(format);
  EXPECT_EQ(format.a, named.a);
  for (const Choice& choice : find(sites, "state").choices) {
    choice.apply(format);
    EXPECT_EQ(format.state.bits, 7) << choice.text;  // with residues
  }
}

TEST(SiteChoices, OfANamedPresetAreResiduesAndScales) {
  quant::QuantOptions named;
  named.preset = "w4a6s8";
  for (const SiteChoices& site : site_choices(named, true, false, 8)) {
    EXPECT_NE(site.site, "gate");
    for (const Choice& choice : site.choices) {
      quant::QuantOptions format = quant::resolved(named);
      choice.apply(format);
      EXPECT_EQ(format.weight.bits, 4);
      EXPECT_EQ(format.a, quant::resolved(named).a);
      EXPECT_EQ(format.residual.bits, 6);
      EXPECT_EQ(format.state.bits, 8);
    }
  }
}

TEST(SiteChoices, OfAnArrayAreWithoutItsNoise) {
  quant::QuantOptions named;
  named.preset = "analog-64x64";
  const quant::QuantOptions start = resolved_without_noise(named);
  EXPECT_EQ(start.array.rows, 64);
  EXPECT_EQ(start.a.coding, quant::PoleCoding::kCartesian);
  bool with_residue = false;
  for (const SiteChoices& site : site_choices(named, true, true, 8)) {
    for (const Choice& choice : site.choices) {
      quant::QuantOptions format = start;
      choice.apply(format);
      // Resolving it once more, as a network does, neither throws nor brings noise back.
      const quant::QuantOptions again = quant::resolved(format);
      EXPECT_EQ(again.array.noise, 0) << choice.text;
      EXPECT_EQ(again.weight_noise, 0) << choice.text;
      EXPECT_EQ(again.a.coding, quant::PoleCoding::kCartesian);
      with_residue = with_residue || again.state.residue_bits > 0;
    }
  }
  EXPECT_TRUE(with_residue);
}

}  // namespace
}  // namespace crosstate::ptq
