#include "crosstate/cost/price.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/cost/operations.h"
#include "crosstate/integer/testing.h"

namespace crosstate {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint64_t kSteps = 37;

Network rounded() {
  return integer_test::rounded_network(4, integer_test::sequences(4),
                                       integer_test::format(4, true));
}

TEST(Price, IsTheEstimateOfTheDeployedNetwork) {
  const Network network = rounded();
  const Technology mcu = find_technology("mcu-int8"), array = find_technology("crossbar-14nm");
  const Deployment sizes = deployment(network);
  const nlohmann::json digital =
      to_json(estimate(sizes, count_operations(sizes, kSteps), mcu), kSteps);
  const nlohmann::json analog =
      to_json(estimate_on_crossbars(to_integers(network), kSteps, array), kSteps);
  for (const Model& model : {Model(network), Model(network).to_integers()}) {
    EXPECT_EQ(to_json(price(model, mcu, kSteps), kSteps), digital);
    EXPECT_EQ(to_json(price(model, array, kSteps), kSteps), analog);
  }
}

TEST(Price, FoldsBatchNorms) {
  ModelOptions options = integer_test::shape(4);
  options.norm = Norm::kBatch;
  const Network network = reference::random_network(options, integer_test::kTask);
  const Technology accelerator = find_technology("mcu-fp32");
  Network folded = network;
  folded.fold_norms();
  EXPECT_EQ(to_json(price(Model(network), accelerator, kSteps), kSteps),
            to_json(price(Model(folded), accelerator, kSteps), kSteps));
}

TEST(Price, NeedsIntegersOnCrossbars) {
  const Network network = reference::random_network(integer_test::shape(4), integer_test::kTask);
  EXPECT_THAT([&] { price(Model(network, {}, "m"), find_technology("crossbar-14nm"), kSteps); },
              ThrowsMessage<Error>(HasSubstr("m: is in floating point, expected a quantized")));
}

}  // namespace
}  // namespace crosstate
