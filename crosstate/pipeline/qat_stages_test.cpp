#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/pipeline/options.h"

namespace crosstate::pipeline {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

RunOptions with(const std::string& preset, const std::string& stages, int epochs = 10) {
  RunOptions options;
  options.quant.preset = preset;
  options.qat.epochs = epochs;
  options.qat.stages = stages;
  return options;
}

TEST(QatStages, AreOneWhereNothingIsSaid) {
  const std::vector<train::QuantStage> stages = qat_stages(with("w4a8s8", "  "));
  ASSERT_EQ(stages.size(), 1u);
  EXPECT_EQ(stages[0].name, "w4a8s8");
  EXPECT_EQ(stages[0].epochs, 10);
  EXPECT_EQ(stages[0].quant, quant::quant_preset("w4a8s8"));
}

TEST(QatStages, ComeInTheirOrderAndTheLastTakesWhatRemains) {
  for (const char* text :
       {"float:1 w8a0s0:2 w8a8s0:3 w2a8s8", "float:1 w8a0s0:2  w8a8s0:3 w2a8s8:4"}) {
    const std::vector<train::QuantStage> stages = qat_stages(with("w2a8s8", text));
    ASSERT_EQ(stages.size(), 4u);
    int epochs = 1;
    for (const train::QuantStage& stage : stages) {
      EXPECT_EQ(stage.epochs, epochs++);
      EXPECT_EQ(stage.quant, quant::quant_preset(stage.name));
    }
    EXPECT_EQ(stages[3].name, "w2a8s8");
  }
}

TEST(QatStages, KeepWhatIsSaidOfSingleSites) {
  RunOptions options = with("w2a8s8", "w8a0s0:4 w2a8s8");
  options.quant.a.bits = 6;
  options.quant.granularity = quant::Granularity::kTensor;
  options.quant.weight_noise = 0.05;
  for (const train::QuantStage& stage : qat_stages(options)) {
    EXPECT_EQ(stage.quant.a.bits, 6);
    EXPECT_EQ(stage.quant.weight.granularity, quant::Granularity::kTensor);
    EXPECT_EQ(stage.quant.weight_noise, 0.05);
  }
  EXPECT_EQ(qat_stages(options)[0].quant.weight.bits, 8);
  EXPECT_EQ(qat_stages(options)[1].quant, quant::resolved(options.quant));
}

TEST(QatStages, RefuseOtherTextsAndSayWhy) {
  const auto expect_refused = [](const std::string& stages, const std::string& why) {
    EXPECT_THAT([&] { validate(with("w2a8s8", stages)); },
                ThrowsMessage<Error>(AllOf(HasSubstr("qat.stages = \"" + stages), HasSubstr(why))));
  };
  expect_refused("w8a8s8:4 w4a8s8", "the last stage, w4a8s8, differs from [quant]");
  expect_refused("w8a8s8 w2a8s8", "stage w8a8s8 has no epochs, expected w8a8s8:EPOCHS");
  expect_refused("w8a8s8:4 w2a8s8:5", "9 epochs in all, but qat.epochs = 10");
  expect_refused("w8a8s8:4 w2a8s8:7", "11 epochs in all, but qat.epochs = 10");
  expect_refused("w8a8s8:10 w2a8s8", "10 epochs before the last stage, but qat.epochs = 10");
  expect_refused("w8a8s8:0 w2a8s8", "1 to qat.epochs = 10");
  expect_refused("w8a8s8:4x w2a8s8", "\"w8a8s8:4x\", expected PRESET:EPOCHS");
  expect_refused("w8a8s8:99999999999 w2a8s8", "expected PRESET:EPOCHS");
  expect_refused("w8a8s8: w2a8s8", "expected PRESET:EPOCHS");
  expect_refused("w8b8s8:4 w2a8s8", "expected float, analog-64x64");
  expect_refused(":4 w2a8s8", "expected float");
}

}  // namespace
}  // namespace crosstate::pipeline
