#include "crosstate/exporter/c_recurrence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "crosstate/exporter/testing.h"
#include "crosstate/integer/testing.h"
#include "crosstate/kernels/state_draws.h"

namespace crosstate::exporter {
namespace {

using integer::IntegerNetwork;
using kernels::RoundingMode;
using testing::HasSubstr;
using testing::Not;

std::string text_of(const IntegerNetwork& network) {
  const CNetworkOptions options;
  NetworkWriter writer(network, options);
  return recurrence_functions(writer);
}

IntegerNetwork rounded_by(RoundingMode rounding) {
  IntegerNetwork n = integer::fixtures::RandomNetwork(6).make();
  n.state_rounding = rounding;
  for (integer::IntegerBlock& b : n.blocks) {
    b.residue_bits.clear();
    if (rounding == RoundingMode::kNoiseShaped) b.residue_bits.assign(b.ar.size(), 6);
  }
  return n;
}

TEST(RecurrenceFunctions, HaveTheRoundingOfTheState) {
  const std::string nearest = text_of(rounded_by(RoundingMode::kNearest));
  EXPECT_THAT(nearest, HasSubstr(" + 8192;"));
  EXPECT_THAT(nearest, Not(HasSubstr("mixed(")));
  EXPECT_THAT(nearest, Not(HasSubstr("residue_")));
  EXPECT_THAT(text_of(rounded_by(RoundingMode::kNoiseShaped)), HasSubstr("residue_re[m] = "));
  EXPECT_THAT(text_of(rounded_by(RoundingMode::kStochastic)), HasSubstr("mixed(state->steps)"));
}

TEST(RecurrenceFunctions, DrawWordsOfTheLibrary) {
  const std::string text = text_of(rounded_by(RoundingMode::kStochastic));
  const std::size_t begin = text.find("static uint32_t mixed("), end = text.find("\n}\n", begin);
  ASSERT_NE(begin, std::string::npos);
  const fixtures::Workshop workshop;
  workshop.write(
      {"main.c", "#include <stdint.h>\n#include <stdio.h>\n" + text.substr(begin, end + 3 - begin) +
                     "int main(void)\n{\n    uint32_t i;\n    for (i = 0u; i < 50u; ++i) {\n"
                     "        printf(\"%lu\\n\", (unsigned long)mixed(i * 99991u));\n    }\n"
                     "    return 0;\n}\n"});
  std::string expected;
  for (std::uint32_t i = 0; i < 50; ++i) {
    expected += std::to_string(kernels::mix(i * 99991u)) + '\n';
  }
  EXPECT_EQ(workshop.compile_and_run(), expected);
}

TEST(RecurrenceFunctions, HaveImaginaryPartsOnlyOfComplexModes) {
  for (std::uint32_t number = 0; number < 12; ++number) {
    const IntegerNetwork n = integer::fixtures::RandomNetwork(number).make();
    EXPECT_EQ(text_of(n).find("next_im") != std::string::npos, n.complex) << number;
  }
}

}  // namespace
}  // namespace crosstate::exporter
