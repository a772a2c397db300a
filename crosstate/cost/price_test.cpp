#include "crosstate/cost/price.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/cost/operations.h"
#include "crosstate/integer/testing.h"

namespace crosstate::cost {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint64_t kInferenceSteps = 37;

model::Network rounded() {
  return integer::fixtures::rounded_network(4, integer::fixtures::sequences(4),
                                            integer::fixtures::format(4, true));
}

TEST(Price, IsTheEstimateOfTheDeployedNetwork) {
  const model::Network network = rounded();
  const Technology mcu = find_technology("mcu-int8"), array = find_technology("crossbar-14nm");
  const Deployment sizes = deployment(network);
  const nlohmann::json digital =
      to_json(estimate(sizes, count_operations(sizes, kInferenceSteps), mcu), kInferenceSteps);
  const nlohmann::json analog =
      to_json(estimate_on_crossbars(integer::to_integers(network), kInferenceSteps, array),
              kInferenceSteps);
  for (const inference::Model& model :
       {inference::Model(network), inference::Model(network).to_integers()}) {
    EXPECT_EQ(to_json(price(model, mcu, kInferenceSteps), kInferenceSteps), digital);
    EXPECT_EQ(to_json(price(model, array, kInferenceSteps), kInferenceSteps), analog);
  }
}

TEST(Price, FoldsBatchNorms) {
  model::ModelOptions options = integer::fixtures::shape(4);
  options.norm = model::Norm::kBatch;
  const model::Network network =
      model::reference::random_network(options, integer::fixtures::kTask);
  const Technology accelerator = find_technology("mcu-fp32");
  model::Network folded = network;
  folded.fold_norms();
  EXPECT_EQ(
      to_json(price(inference::Model(network), accelerator, kInferenceSteps), kInferenceSteps),
      to_json(price(inference::Model(folded), accelerator, kInferenceSteps), kInferenceSteps));
}

TEST(Price, NeedsIntegersOnCrossbars) {
  const model::Network network =
      model::reference::random_network(integer::fixtures::shape(4), integer::fixtures::kTask);
  EXPECT_THAT(
      [&] {
        price(inference::Model(network, {}, "m"), find_technology("crossbar-14nm"),
              kInferenceSteps);
      },
      ThrowsMessage<Error>(HasSubstr("m: is a float model, expected a quantized")));
}

}  // namespace
}  // namespace crosstate::cost
