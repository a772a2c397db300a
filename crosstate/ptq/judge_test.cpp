#include "crosstate/ptq/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "crosstate/model/testing.h"

namespace crosstate::ptq {
namespace {

TEST(Verdict, MeetsALossThatIsCertain) {
  Verdict verdict;
  verdict.loss = 1.5;
  verdict.deviation = 2;
  verdict.resolution = 2;
  EXPECT_EQ(verdict.certain_loss(), 3.5);
  EXPECT_TRUE(verdict.meets(3.5));
  EXPECT_FALSE(verdict.meets(3));
  EXPECT_TRUE(verdict.meets(1.5));  // less than one sequence is worth
  EXPECT_FALSE(verdict.meets(1));
}

TEST(Judge, TellsWhichNetworkIsNotInteger) {
  constexpr model::TaskShape kTask{1, 3};
  model::ModelOptions options = model::reference::small_options();
  options.norm = model::Norm::kNone;
  const model::Network network = model::reference::random_network(options, kTask);
  const data::Dataset set = model::reference::random_set(1, 20, 30, kTask);
  ThreadPool pool(1);
  const Judge judge(inference::Model(network, std::nullopt, "x.safetensors"), set, pool);
  const Verdict verdict = judge.judge(network);
  EXPECT_THAT(verdict.not_integer, testing::StartsWith("x.safetensors: is a float model"));
  EXPECT_TRUE(std::isinf(verdict.loss) && std::isinf(verdict.error));
  EXPECT_FALSE(verdict.meets(100));
}

}  // namespace
}  // namespace crosstate::ptq
