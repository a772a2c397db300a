#include "crosstate/exporter/c_layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "crosstate/exporter/testing.h"
#include "crosstate/integer/testing.h"

namespace crosstate::exporter {
namespace {

using integer::IntegerNetwork;
using testing::HasSubstr;
using testing::Not;

// Of one input, two channels and two outputs.
IntegerNetwork small_network() {
  IntegerNetwork n;
  for (std::uint32_t number = 0; n.inputs != 1 || n.channels < 2 || n.outputs < 2; ++number) {
    n = integer::fixtures::RandomNetwork(number).make();
  }
  return n;
}

TEST(DecoderFunctions, ChooseTheFirstOfEqualScores) {
  const IntegerNetwork n = small_network();
  CNetworkOptions options;
  NetworkWriter classifier(n, options);
  const std::string text = decoder_functions(classifier);
  const std::size_t at = text.find("int %n%_class(");
  ASSERT_NE(at, std::string::npos);
  const fixtures::Workshop workshop;
  workshop.write(
      {"main.c",
       "#include <stdint.h>\n#include <stdio.h>\n#define NET_OUTPUTS 4\n"
       "typedef struct {\n    int64_t scores[4];\n} net_state;\n"
       "static void net_scores(const net_state *state, int64_t out[4])\n{\n    int k;\n"
       "    for (k = 0; k < 4; ++k) {\n        out[k] = state->scores[k];\n    }\n}\n"
       "static " +
           fill(text.substr(at), "net") +
           "int main(void)\n{\n"
           "    const net_state a = {{-7, 5000000000, 5000000000, 1}};\n"
           "    const net_state b = {{-3, -3, -3, -3}};\n"
           "    printf(\"%d %d\\n\", net_class(&a), net_class(&b));\n    return 0;\n}\n"});
  EXPECT_EQ(workshop.compile_and_run(), "1 0\n");
  options.classifier = false;
  NetworkWriter regression(n, options);
  EXPECT_THAT(decoder_functions(regression), Not(HasSubstr("_class(")));
}

TEST(DecoderFunctions, ShiftLongSumsAsDocumented) {
  IntegerNetwork n = small_network();
  n.pool_last = false;
  for (const int whole : {-2, 3}) {
    n.score_steps = whole;
    const CNetworkOptions options;
    NetworkWriter writer(n, options);
    const std::string text = decoder_functions(writer);
    EXPECT_TRUE(writer.early_scores);
    const fixtures::Workshop workshop;
    workshop.write(
        {"main.c", "#include <stdint.h>\n#include <stdio.h>\n" +
                       text.substr(0, text.find("void %n%_scores(")) +
                       "int main(void)\n{\n    uint32_t steps;\n"
                       "    for (steps = 1u; steps < 70u; ++steps) {\n"
                       "        printf(\"%u\\n\", (unsigned)score_places(steps));\n    }\n"
                       "    return 0;\n}\n"});
    std::string expected;
    for (int steps = 1; steps < 70; ++steps) {
      expected += std::to_string(n.early_score_shift(steps)) + '\n';
    }
    EXPECT_EQ(workshop.compile_and_run(), expected) << whole;
  }
  n.score_steps = IntegerNetwork::kEveryLength;
  const CNetworkOptions options;
  NetworkWriter writer(n, options);
  EXPECT_THAT(decoder_functions(writer), Not(HasSubstr("score_places")));
  EXPECT_FALSE(writer.early_scores);
}

TEST(PointwiseFunction, ReadsAGateOnlyWhereThereIsOne) {
  for (std::uint32_t number = 0; number < 6; ++number) {
    const IntegerNetwork n = integer::fixtures::RandomNetwork(number).make();
    const CNetworkOptions options;
    NetworkWriter writer(n, options);
    const std::string text = pointwise_function(writer);
    EXPECT_EQ(text.find("gate_table") != std::string::npos, n.gated) << number;
  }
}

TEST(EncoderFunction, SaturatesItsInput) {
  const IntegerNetwork n = small_network();
  const CNetworkOptions options;
  NetworkWriter writer(n, options);
  EXPECT_THAT(encoder_function(writer), HasSubstr("clamp(in[i], %N%_INPUT_MIN, %N%_INPUT_MAX)"));
  EXPECT_GT(writer.scratch_bytes, 0u);
}

}  // namespace
}  // namespace crosstate::exporter
