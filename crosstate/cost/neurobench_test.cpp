#include "crosstate/cost/neurobench.h"

#include <gtest/gtest.h>

#include "crosstate/cost/memory.h"
#include "crosstate/integer/testing.h"

namespace crosstate::cost {
namespace {

std::vector<std::int32_t> identity(int low, int high) {
  std::vector<std::int32_t> table;
  for (int code = low; code <= high; ++code) table.push_back(code);
  return table;
}

// One channel of one real mode with A = 1/2, two inputs, two outputs; every requantizer is 1.
integer::IntegerNetwork tiny() {
  const integer::CodeFormat codes{-7, 7, 1};
  const integer::Requantizer one{{2}, {}, {1}, {}}, both{{2}, {2}, {1}, {}};
  integer::IntegerNetwork n;
  n.inputs = 2;
  n.channels = n.modes = 1;
  n.outputs = 2;
  n.complex = n.gated = false;
  n.input = n.residual = codes;
  n.state_bits = 4;
  n.state_limit = 7;
  n.encoder = {1, 2, 4, {1, 0}, {0}};
  n.encoder_codes = one;
  integer::IntegerBlock b;
  b.shape = model::BlockShape::whole(1, 1);
  b.a_bits = b.c_bits = b.d_bits = 4;
  b.ar = {1 << 13};
  b.input_shift = {14};
  b.cr = {1};
  b.d = {0};
  b.ssm_output = b.activation = b.linear = b.gate = codes;
  b.output = both;
  b.activation_table = identity(-7, 7);
  b.linear_map = {1, 1, 4, {1}, {0}};
  b.sum = both;
  n.blocks = {b};
  n.decoder = {2, 1, 4, {1, 1}, {0, 0}};
  n.scores = {{2, 2}, {}, {1, 1}, {}};
  return n;
}

TEST(NeuroBench, CountsATinyNetworkByHand) {
  const integer::IntegerNetwork n = tiny();
  integer::ReferenceExecutor executor(n);
  // The second input is multiplied by a weight of 0. The state is 1, then 0.5 rounded up to 1, then
  // 1.
  for (const std::vector<std::int32_t>& input :
       std::vector<std::vector<std::int32_t>>{{1, 5}, {0, 5}, {0, 0}}) {
    executor.step(input);
  }
  executor.result();
  NeuroBenchMetrics m = neurobench_metrics(n, 3);
  m.activity = measured_activity(n, executor);
  EXPECT_EQ(m.footprint, count_memory(n).total());
  // Zeros: an encoder weight and D, of 2 + 4 + 2 weights.
  EXPECT_DOUBLE_EQ(m.connection_sparsity, 2.0 / 8);
  // Encoder 2; A, C, D and pointwise 4 per step; read-out 2 in three steps.
  EXPECT_DOUBLE_EQ(m.dense, 6 + 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.activity->dense_per_sample, 3 * 6 + 2);
  // Encoder 1; A in steps 2 and 3; C and pointwise 3 each; read-out 2.
  EXPECT_DOUBLE_EQ(m.activity->effective_macs, 1 + 2 + 3 + 3 + 2);
  EXPECT_DOUBLE_EQ(m.activity->activation_sparsity, 0);
  EXPECT_DOUBLE_EQ(m.activity->state_sparsity, 0);
  EXPECT_EQ(m.activity->samples, 1u);
}

TEST(NeuroBench, NothingIsEffectiveOnSilence) {
  const integer::IntegerNetwork n = tiny();
  integer::ReferenceExecutor executor(n);
  executor.step(std::vector<std::int32_t>{0, 0});
  executor.result();
  const NeuroBenchActivity a = measured_activity(n, executor);
  EXPECT_DOUBLE_EQ(a.effective_macs, 0);
  EXPECT_DOUBLE_EQ(a.activation_sparsity, 1);
  EXPECT_DOUBLE_EQ(a.state_sparsity, 1);
  EXPECT_DOUBLE_EQ(a.dense_per_sample, 8);
}

class OfEveryFormat : public testing::TestWithParam<int> {};

TEST_P(OfEveryFormat, EffectiveOperationsAreAtMostTheDenseOnes) {
  const int number = GetParam();
  const data::Dataset set = integer::fixtures::sequences(number);
  const model::Network network =
      integer::fixtures::rounded_network(number, set, integer::fixtures::format(number, true));
  const integer::IntegerNetwork n = integer::to_integers(network);
  double steps = 0;
  for (std::size_t i = 0; i < 5; ++i) steps += static_cast<double>(set.length_of(i));
  const NeuroBenchActivity a = measure_activity(n, set, 5);
  EXPECT_EQ(a.samples, 5u);
  EXPECT_EQ(measure_activity(n, set, set.count + 1).samples, set.count);
  EXPECT_GT(a.effective_macs, 0);
  EXPECT_LE(a.effective_macs, a.dense_per_sample);
  EXPECT_GE(a.activation_sparsity, 0);
  EXPECT_LE(a.activation_sparsity, 1);
  const auto synaptic = [](const OperationSite& s) { return s.weights > 0 ? s.macs : 0; };
  const OperationSummary operations = count_operations(deployment(n), 1);
  EXPECT_DOUBLE_EQ(5 * a.dense_per_sample,
                   steps * static_cast<double>(operations.per_step(synaptic)) +
                       5 * static_cast<double>(operations.at_end(synaptic)));
  EXPECT_DOUBLE_EQ(neurobench_metrics(n, 9).connection_sparsity,
                   neurobench_metrics(network, 9).connection_sparsity);
}

INSTANTIATE_TEST_SUITE_P(Numbers, OfEveryFormat, testing::Range(0, 12));

}  // namespace
}  // namespace crosstate::cost
