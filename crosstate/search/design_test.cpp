#include "crosstate/search/design.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"

namespace crosstate::search {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

// Two sites, two sizes, three converters, two types.
DesignOptions few() {
  DesignOptions options;
  options.digital = "A C";
  options.arrays = "64x32 128x128";
  options.adc_bits = "4 6 8";
  options.converters = "target sar";
  options.slices = "1 2";
  return options;
}

TEST(Design, HasAGeneForEveryChoice) {
  const DesignSpace space(few(), {});
  EXPECT_THAT(space.choices(), ElementsAre(2, 2, 2, 3, 2, 2, 2));
  EXPECT_EQ(DesignSpace({}, {}).choices().size(), 10u);
  for (const Genes& genes : space.first()) {
    EXPECT_THAT(space.text(genes), HasSubstr("crossbar.adc_bits=8"));
  }
  EXPECT_EQ(space.first().size(), 4u);  // sizes, without and with a digital A
}

TEST(Design, IsDescribedByItsSettings) {
  const DesignSpace space(few(), {});
  const Genes genes = {1, 0, 0, 1, 1, 1, 1};
  const std::string text = space.text(genes);
  EXPECT_EQ(text,
            "crossbar.digital=A crossbar.rows=64 crossbar.columns=32 crossbar.adc_bits=6 "
            "crossbar.slices=2 crossbar.packing=single cost.converter=sar");
  const Design design = space.design(text);
  EXPECT_EQ(design.target.crossbar.digital, "A");
  EXPECT_EQ(design.target.crossbar.rows, 64);
  EXPECT_EQ(design.target.crossbar.columns, 32);
  EXPECT_EQ(design.target.crossbar.slices, 2);
  EXPECT_EQ(design.target.crossbar.packing, crossbar::ChannelPacking::kSingle);
  // Priced as it is simulated.
  EXPECT_EQ(design.estimate.rows, 64);
  EXPECT_EQ(design.estimate.columns, 32);
  EXPECT_EQ(design.estimate.converter_bits, 6);
  EXPECT_EQ(design.estimate.converter, cost::ConverterType::kSar);
  EXPECT_EQ(design.residue_bits, std::nullopt);
  // Chips do not depend on the type of the converters.
  EXPECT_EQ(space.chip_text(genes) + " cost.converter=sar", text);
  EXPECT_EQ(space.chip_text(genes), space.chip_text({1, 0, 0, 1, 1, 1, 0}));
}

TEST(Design, IsTheSameWhateverHasNoEffect) {
  const DesignSpace space(few(), {});
  // Nothing is packed without recurrences on arrays.
  EXPECT_EQ(space.text({1, 1, 0, 0, 0, 1, 0}), space.text({1, 1, 0, 0, 0, 0, 0}));
  EXPECT_NE(space.text({1, 0, 0, 0, 0, 1, 0}), space.text({1, 0, 0, 0, 0, 0, 0}));
}

TEST(Design, KeepsTheDigitalSitesOfTheTarget) {
  crossbar::Target target;
  target.crossbar.digital = "encoder, decoder";
  const DesignSpace space(few(), target);
  EXPECT_THAT(space.text({0, 0, 0, 0, 0, 0, 0}), StartsWith("crossbar.digital=encoder,decoder "));
  EXPECT_THAT(space.text({0, 1, 0, 0, 0, 0, 0}), StartsWith("crossbar.digital=encoder,decoder,C "));
  EXPECT_EQ(space.digital_in_some(), "encoder,decoder,A,C");
  target.crossbar.digital = "C";
  EXPECT_THAT([&] { DesignSpace(few(), target); },
              ThrowsMessage<Error>(AllOf(HasSubstr("search.digital"), HasSubstr("\"C\""),
                                         HasSubstr("is listed before"))));
}

TEST(Design, DecidesTogetherWhatACommaJoins) {
  DesignOptions options = few();
  options.digital = "A,C pointwise.0";
  const DesignSpace space(options, {});
  EXPECT_THAT(space.text({1, 0, 0, 0, 0, 0, 0}), StartsWith("crossbar.digital=A,C "));
  EXPECT_THAT(space.text({0, 1, 0, 0, 0, 0, 0}), StartsWith("crossbar.digital=pointwise.0 "));
}

TEST(Design, ChoosesResidues) {
  DesignOptions options = few();
  options.residue_bits = "0 4";
  const DesignSpace space(options, {});
  EXPECT_THAT(space.residue_bits(), ElementsAre(0, 4));
  const std::string text = space.text({0, 0, 0, 0, 0, 0, 0, 1});
  EXPECT_THAT(text, HasSubstr("quant.state.residue_bits=4"));
  EXPECT_EQ(space.design(text).residue_bits, 4);
  EXPECT_FALSE(DesignSpace(few(), {}).varies_residue());
}

TEST(Design, RefusesImpossibleChoices) {
  const auto refused = [](auto change, const std::string& key, const std::string& why) {
    DesignOptions options;
    change(options);
    EXPECT_THAT([&] { validate(options, {}); },
                ThrowsMessage<Error>(AllOf(HasSubstr(key), HasSubstr(why))))
        << key;
  };
  refused([](auto& o) { o.digital = "A B"; }, "search.digital", "is not a site");
  refused([](auto& o) { o.digital = "A A"; }, "search.digital", "is listed before");
  refused([](auto& o) { o.arrays = "64"; }, "search.arrays", "such as 64x64");
  refused([](auto& o) { o.arrays = "64x2"; }, "search.arrays", "crossbar.columns");
  refused([](auto& o) { o.adc_bits = "4 25"; }, "search.adc_bits", "2 to 24");
  refused([](auto& o) { o.adc_bits = "4 4"; }, "search.adc_bits", "twice");
  refused([](auto& o) { o.adc_bits = " "; }, "search.adc_bits", "at least one");
  refused([](auto& o) { o.converters = "sigma"; }, "search.converters", "oscillator");
  refused([](auto& o) { o.slices = "0"; }, "search.slices", "1 to 8");
  refused([](auto& o) { o.packing = "tight"; }, "search.packing", "single");
  refused([](auto& o) { o.residue_bits = "99"; }, "search.residue_bits", "0 to");
  refused([](auto& o) { o.age = "0 1d"; }, "search.age", "one time");
  refused([](auto& o) { o.chips = 0; }, "search.chips", "1 to");
}

TEST(Design, IsPricedByTheTechnologyOfItsTarget) {
  EXPECT_EQ(technology_of("taox-64x64"), "crossbar-180nm-taox");
  EXPECT_THAT([] { technology_of("sonos"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("search.technology"), HasSubstr("sonos"))));
}

}  // namespace
}  // namespace crosstate::search
