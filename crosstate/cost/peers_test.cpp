#include "crosstate/cost/peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"

namespace crosstate::cost {
namespace {

TEST(Peers, LstmByHand) {
  const PeerCost p = lstm_cost(2, 3, 5, 8);
  EXPECT_EQ(p.parameters, 4u * (6 + 9 + 3) + 5 * 4);
  EXPECT_EQ(p.macs(7), 7u * (60 + 9) + 15);
  EXPECT_EQ(p.bit_operations(7), p.macs(7) * 64);
  EXPECT_EQ(p.state_bytes(1), 6u);
  EXPECT_EQ(p.state_bytes(100000), 6u);
}

TEST(Peers, GruByHand) {
  const PeerCost p = gru_cost(1, 5, 2, 32);
  EXPECT_EQ(p.parameters, 3u * (5 + 25 + 5) + 12);
  EXPECT_EQ(p.macs(1), 90u + 15 + 10);
  EXPECT_EQ(p.state_bytes(9), 20u);
}

TEST(Peers, TransformerByHand) {
  const PeerCost p = transformer_cost(1, 4, 2, 3, 16);
  // A layer: four 4 x 4 maps with biases, 4 x 16 and 16 x 4 with biases, two norms.
  const std::uint64_t layer = 4 * (16 + 4) + (64 + 16) + (64 + 4) + 2 * 8;
  EXPECT_EQ(p.parameters, 8u + 2 * layer + 15);
  // Step t attends to t keys and t values of size 4 in each layer.
  EXPECT_EQ(p.macs(3), 3u * (4 + 2 * 192) + 2 * 8 * (1 + 2 + 3) + 12);
  EXPECT_EQ(p.state_bytes(10), 2u * (4 + 10 * 2 * 2 * 4));
}

TEST(Peers, AreAsLargeAsTheParametersAllow) {
  PeerOptions options;
  for (const std::uint64_t parameters : {100u, 8410u, 201482u}) {
    for (const PeerCost& p : peer_costs(options, parameters, 1, 10)) {
      EXPECT_LE(p.parameters, std::max<std::uint64_t>(parameters, 109)) << p.name;
      EXPECT_GT(p.parameters, parameters > 8000 ? parameters * 9 / 10 : 0) << p.name;
    }
  }
  options.lstm = 128;
  options.transformer = 16;
  const std::vector<PeerCost> named = peer_costs(options, 100, 1, 10);
  EXPECT_EQ(named[0].name, "LSTM, 128 units");
  EXPECT_EQ(named[2].name, "Transformer, 2 layers of 16");
}

TEST(Peers, RefuseMoreThanCanBeCounted) {
  constexpr std::uint64_t kMost = 1'000'000'000;  // of cost.steps
  const auto refused = [](const char* what) {
    return testing::ThrowsMessage<Error>(testing::AllOf(testing::HasSubstr("cost.steps"),
                                                        testing::HasSubstr("1000000000"),
                                                        testing::HasSubstr(what)));
  };
  const PeerCost wide = transformer_cost(1, 32, 2, 10, 32);
  EXPECT_THAT([&] { wide.macs(kMost); }, refused("products of the Transformer, 2 layers of 32"));
  // Attention alone takes 2 x 1 products for every pair of steps, half of a square.
  const PeerCost narrow = transformer_cost(1, 1, 1, 10, 32);
  EXPECT_EQ(narrow.macs(kMost), kMost * 13 + kMost * (kMost + 1) + 10);
  EXPECT_THAT([&] { narrow.bit_operations(kMost); }, refused("bit operations of the Transformer"));
  EXPECT_EQ(lstm_cost(1, 3, 10, 32).macs(kMost), kMost * (4 * 3 * 4 + 9) + 30);
}

TEST(Peers, GiveTheirOperationsToEstimates) {
  const PeerCost p = transformer_cost(1, 4, 2, 3, 32);
  const OperationSummary operations = p.operations(9);  // 5 previous steps on average
  EXPECT_EQ(operations.per_inference(&OperationSite::macs, 9), p.macs(9));
  EXPECT_EQ(operations.per_step(&OperationSite::functions), 2u * 16 + 5 * 2);
  EXPECT_EQ(operations.sites[0].moved_bits, 32u * (2 * 4 + 6 * 16));
  EXPECT_EQ(p.memory_bits(9), 32.0 * static_cast<double>(p.parameters + 4 + 9 * 16));
  const OperationSummary whole = lstm_cost(2, 3, 5, 8).operations(9);
  EXPECT_EQ(whole.per_step(&OperationSite::functions), 0u);
  EXPECT_EQ(whole.per_step(&OperationSite::look_ups), 15u);
}

TEST(Peers, ReadAtEveryStepDecodeInIt) {
  const PeerCost p = lstm_cost(2, 3, 5, 32), steps = p.read_at_every_step();
  EXPECT_EQ(steps.macs(9), p.macs(9) + 8 * 15);
  EXPECT_EQ(steps.operations(9).at_end(&OperationSite::macs), 0u);
  EXPECT_EQ(steps.parameters, p.parameters);
}

TEST(Peers, AttentionsMemoryGrowsWithTheSequence) {
  const std::vector<PeerCost> peers = peer_costs({}, 8410, 1, 10);
  EXPECT_EQ(peers[0].state_bytes(64), peers[0].state_bytes(16384));
  EXPECT_GT(peers[2].state_bytes(16384), 200 * peers[2].state_bytes(64));
}

}  // namespace
}  // namespace crosstate::cost
