#include "crosstate/analog/digital_sites.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"

namespace crosstate::analog {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

DigitalSites parse(const std::string& list) { return {list, "crossbar.digital"}; }

TEST(DigitalSites, AreNoneInAnEmptyList) {
  for (const char* list : {"", "  "}) {
    const DigitalSites sites = parse(list);
    EXPECT_TRUE(sites.empty());
    EXPECT_FALSE(sites.encoder() || sites.decoder());
    EXPECT_FALSE(sites.block(0).states || sites.block(0).outputs || sites.block(0).pointwise);
  }
}

TEST(DigitalSites, AreThoseOfAllBlocksOrOfOne) {
  const DigitalSites sites = parse("A,  pointwise.1, decoder");
  EXPECT_FALSE(sites.encoder());
  EXPECT_TRUE(sites.decoder());
  for (std::size_t l = 0; l < 3; ++l) {
    EXPECT_TRUE(sites.block(l).states);
    EXPECT_FALSE(sites.block(l).outputs);
    EXPECT_FALSE(sites.block(l).recurrence());
    EXPECT_EQ(sites.block(l).pointwise, l == 1);
  }
  EXPECT_TRUE(parse("C, A.2").block(2).recurrence());
  EXPECT_FALSE(parse("C, A.2").block(1).recurrence());
  EXPECT_TRUE(parse("C, A.2").every_block().outputs);
  EXPECT_FALSE(parse("C, A.2").every_block().states);
}

TEST(DigitalSites, NamesWhatIsWrong) {
  const auto message = [](const std::string& list, const std::string& what) {
    EXPECT_THAT([&] { parse(list); },
                ThrowsMessage<Error>(
                    AllOf(HasSubstr("crossbar.digital = \"" + list + '"'), HasSubstr(what))));
  };
  message("B", "\"B\" is not a site, expected names among encoder, A, C, pointwise and decoder");
  message("A,,C", "\"\" is not a site");
  message("A,", "\"\" is not a site");
  message("A, C, A", "\"A\" is listed before");
  message("A, A.1", "\"A.1\" is listed before");
  message("decoder.0", "only one decoder");
  message("A.", "no number of a block");
  message("A.x", "no number of a block");
  message("A.-1", "no number of a block");
  message("A.99999999999999999999", "no number of a block");
}

TEST(DigitalSites, AreCheckedAgainstTheNetwork) {
  const DigitalSites sites = parse("C, A.2");
  EXPECT_NO_THROW(sites.require_blocks(3));
  EXPECT_THAT([&] { sites.require_blocks(2); },
              ThrowsMessage<Error>(HasSubstr("crossbar.digital: \"A.2\", but the network has 2 "
                                             "blocks, counted from 0")));
}

}  // namespace
}  // namespace crosstate::analog
