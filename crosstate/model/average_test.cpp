#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/model/network.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::random_network;
using reference::random_set;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Average : public testing::Test {
 protected:
  static ModelOptions options() {
    ModelOptions o = reference::small_options();
    o.layers = 2;
    return o;
  }
  Network quantized(const ModelOptions& o, std::uint64_t seed = 1) {
    Network network = random_network(o, kTask, seed);
    network.quantize(quant::quant_preset("w4a8s8"), {&batch_, 1}, pool_);
    return network;
  }

  ThreadPool pool_{2};
  const data::Batch batch_ = batch_of(random_set(1, 37, 23, kTask, true));
  const data::Batch other_ = batch_of(random_set(2, 20, 23, kTask, true));
};

TEST_F(Average, NetworksMoveTowardsEachOther) {
  Network network = quantized(options());
  const Network from = network, target = quantized(options(), 9);
  network.move_towards(target, 0.25);
  for (std::size_t p = 0; p < from.parameters().size(); ++p) {
    for (std::size_t i = 0; i < from.parameters()[p].value.size(); ++i) {
      EXPECT_NEAR(network.parameters()[p].value[i],
                  0.75 * from.parameters()[p].value[i] + 0.25 * target.parameters()[p].value[i],
                  1e-6);
    }
  }
  const float before = from.state().statistics[1].variance[2];
  const float wanted = target.state().statistics[1].variance[2];
  EXPECT_NE(before, wanted);
  EXPECT_NEAR(network.state().statistics[1].variance[2], 0.75 * before + 0.25 * wanted, 1e-6);
  network.move_towards(target, 1);
  EXPECT_EQ(network.parameters()[3].value, target.parameters()[3].value);

  ModelOptions plain = options();
  plain.norm = Norm::kNone;
  for (const Network& other :
       {random_network(options(), kTask), quantized(plain), quantized(reference::small_options()),
        Network(options(), {3, 4}, 1)}) {
    EXPECT_THAT([&] { network.move_towards(other, 0.5); },
                ThrowsMessage<Error>(HasSubstr("other shapes")));
  }
}

// The running statistics are then those of the batch, and evaluation equals training.
TEST_F(Average, NormsMeasuredOnABatchNormaliseItAsTrainingDoes) {
  for (const bool rounds : {false, true}) {
    Network network = rounds ? quantized(options()) : random_network(options(), kTask);
    Network trained = network;
    const double loss = trained.train_step(batch_, {}, pool_).loss;
    EXPECT_GT(std::abs(network.evaluate(batch_, pool_).loss - loss), 1e-2);
    const std::vector<Parameter> before = network.parameters();
    network.measure_norms(batch_, 1, pool_);
    EXPECT_NEAR(network.evaluate(batch_, pool_).loss, loss, rounds ? 2e-2 : 1e-5);
    for (std::size_t p = 0; p < before.size(); ++p) {
      EXPECT_EQ(network.parameters()[p].value, before[p].value);
    }
  }
}

TEST_F(Average, NormsAreMeansOverBatches) {
  ModelOptions o = options();
  o.dropout = 0.5;  // without effect here
  Network one = random_network(o, kTask), two = one, both = one;
  one.measure_norms(batch_, 1, pool_);
  two.measure_norms(other_, 1, pool_);
  both.measure_norms(batch_, 1, pool_);
  both.measure_norms(other_, 0.5, pool_);
  Network again = random_network(options(), kTask);
  again.measure_norms(batch_, 1, pool_);
  for (std::size_t l = 0; l < 2; ++l) {
    const RunningStatistics &a = one.state().statistics[l], &b = two.state().statistics[l];
    EXPECT_NE(a.mean, b.mean);
    for (std::size_t i = 0; i < a.mean.size(); ++i) {
      EXPECT_NEAR(both.state().statistics[l].mean[i], (a.mean[i] + b.mean[i]) / 2, 1e-6);
      EXPECT_NEAR(both.state().statistics[l].variance[i], (a.variance[i] + b.variance[i]) / 2,
                  1e-6);
    }
    EXPECT_EQ(again.state().statistics[l].mean, a.mean);
  }
}

TEST_F(Average, NormsAreLeftAloneWhereThereAreNone) {
  for (const Norm norm : {Norm::kNone, Norm::kLayer}) {
    ModelOptions o = options();
    o.norm = norm;
    Network network = random_network(o, kTask);
    const std::string before = formats::format_safetensors(network.to_tensors());
    network.measure_norms(batch_, 1, pool_);
    EXPECT_TRUE(formats::format_safetensors(network.to_tensors()) == before);
  }
  Network network = random_network(options(), kTask);
  const data::Batch narrow = batch_of(random_set(1, 19, 23, {1, 4}));
  EXPECT_THAT([&] { network.measure_norms(narrow, 1, pool_); },
              ThrowsMessage<Error>(HasSubstr("1 channels, but the network has 2 inputs")));
}

}  // namespace
}  // namespace crosstate::model
