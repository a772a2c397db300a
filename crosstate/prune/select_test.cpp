#include "crosstate/prune/select.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "crosstate/base/random.h"
#include "crosstate/model/testing.h"

namespace crosstate::prune {
namespace {

using testing::ElementsAre;

class SelectParts : public testing::Test {
 protected:
  using Numbers = std::vector<std::size_t>;

  // Networks with complex or real modes; every other one has lost modes and channels before.
  static model::Network network(std::uint64_t number) {
    model::ModelOptions o = model::reference::small_options();
    o.norm = model::Norm::kNone;
    o.channels = 4;
    o.states = 6;
    o.layers = 1 + static_cast<int>(number % 3);
    if (number % 4 > 1) {
      o.modes = model::ModeKind::kReal;
      o.init = model::PoleStart::kReal;
    }
    const model::Network whole(o, model::kTask, number + 1);
    return number % 2 == 0 ? whole : whole.part(model::reference::random_parts(whole, number));
  }

  // Small whole numbers, so that sums are exact and many scores are equal.
  static PartScores scores_for(const model::Network& network, std::uint64_t number) {
    Random random(number, Stream::kTest);
    const auto draw = [&](std::size_t count) {
      std::vector<double> scores(count);
      for (double& s : scores) s = random.below(6);
      return scores;
    };
    PartScores scores;
    scores.stream = draw(network.state().channels());
    for (const model::BlockShape& shape : network.state().shapes) {
      scores.blocks.push_back({draw(shape.modes()), draw(shape.size())});
    }
    return scores;
  }

  static Numbers all(std::size_t count) {
    Numbers numbers(count);
    std::iota(numbers.begin(), numbers.end(), std::size_t{0});
    return numbers;
  }

  static void expect_parts(const model::NetworkParts& got, const model::NetworkParts& wanted) {
    EXPECT_EQ(got.stream, wanted.stream);
    ASSERT_EQ(got.blocks.size(), wanted.blocks.size());
    for (std::size_t l = 0; l < got.blocks.size(); ++l) {
      EXPECT_EQ(got.blocks[l].channels, wanted.blocks[l].channels) << "block " << l;
      EXPECT_EQ(got.blocks[l].modes, wanted.blocks[l].modes) << "block " << l;
    }
  }
};

// The rules of the header, one part at a time.
class OneByOne {
 public:
  OneByOne(const model::Network& network, const PartScores& scores)
      : s_(network.state()), scores_(scores) {
    for (std::size_t h = 0; h < s_.channels(); ++h) stream_.insert(h);
    for (const model::BlockShape& shape : s_.shapes) {
      Block& block = blocks_.emplace_back();
      for (std::size_t s = 0; s < shape.size(); ++s) block.channels.insert(s);
      for (std::size_t i = 0; i < shape.modes(); ++i) block.modes.insert(i);
    }
  }

  void drop_stream(std::size_t keep) {
    std::set<std::size_t> needed;  // a block would be empty without
    while (stream_.size() > std::max<std::size_t>(keep, 1)) {
      std::size_t least = s_.channels();
      for (const std::size_t h : stream_) {
        if (needed.contains(h)) continue;
        if (least == s_.channels() || scores_.stream[h] < scores_.stream[least]) least = h;
      }
      if (least == s_.channels()) return;
      stream_.erase(least);
      if (every_block_lives()) continue;
      stream_.insert(least);
      needed.insert(least);
    }
  }
  void drop_channels(std::size_t keep) {
    drop(keep, &Block::channels, [&](std::size_t l) { return scores_.blocks[l].channels; });
  }
  void drop_modes(std::size_t keep) {
    for (std::size_t l = 0; l < blocks_.size(); ++l) {
      std::erase_if(blocks_[l].modes, [&](std::size_t i) { return !lives(l, i); });
    }
    drop(keep, &Block::modes, [&](std::size_t l) {
      std::vector<double> of_living(scores_.blocks[l].modes.size(), 0);
      for (const std::size_t i : blocks_[l].modes) of_living[i] = scores_.blocks[l].modes[i];
      return of_living;
    });
  }

  model::NetworkParts parts() const {
    model::NetworkParts parts;
    parts.stream.assign(stream_.begin(), stream_.end());
    for (const Block& b : blocks_) {
      parts.blocks.push_back(
          {{b.channels.begin(), b.channels.end()}, {b.modes.begin(), b.modes.end()}});
    }
    return parts;
  }

 private:
  struct Block {
    std::set<std::size_t> channels, modes;
  };

  bool lives(std::size_t l, std::size_t mode) const {
    const model::BlockShape& shape = s_.shapes[l];
    for (std::size_t s = 0; s < shape.size(); ++s) {
      if (mode < shape.first[s] || mode >= shape.first[s + 1]) continue;
      return blocks_[l].modes.contains(mode) && blocks_[l].channels.contains(s) &&
             stream_.contains(shape.channels[s]);
    }
    return false;
  }
  bool block_lives(std::size_t l) const {
    for (const std::size_t i : blocks_[l].modes) {
      if (lives(l, i)) return true;
    }
    return false;
  }
  bool every_block_lives() const {
    for (std::size_t l = 0; l < blocks_.size(); ++l) {
      if (!block_lives(l)) return false;
    }
    return true;
  }

  // A score divided by the sum of itself and of those that are removed later.
  static double share(const std::vector<double>& scores, std::size_t i) {
    double sum = 0;
    for (std::size_t k = 0; k < scores.size(); ++k) {
      if (scores[k] > scores[i] || (scores[k] == scores[i] && k <= i)) sum += scores[k];
    }
    return sum > 0 ? scores[i] / sum : 0;
  }

  template <class ScoresOf>
  void drop(std::size_t keep, std::set<std::size_t> Block::*part, ScoresOf scores_of) {
    std::vector<std::vector<double>> scores;
    std::set<std::pair<std::size_t, std::size_t>> candidates;
    std::size_t left = 0;
    for (std::size_t l = 0; l < blocks_.size(); ++l) {
      scores.push_back(scores_of(l));
      for (const std::size_t i : blocks_[l].*part) candidates.insert({l, i});
      left += (blocks_[l].*part).size();
    }
    while (left > keep && !candidates.empty()) {
      auto least = candidates.begin();
      for (auto c = candidates.begin(); c != candidates.end(); ++c) {
        if (share(scores[c->first], c->second) < share(scores[least->first], least->second)) {
          least = c;
        }
      }
      const auto [l, i] = *least;
      candidates.erase(least);
      (blocks_[l].*part).erase(i);
      if (block_lives(l)) {
        --left;
      } else {
        (blocks_[l].*part).insert(i);
      }
    }
  }

  const model::Network::State& s_;
  const PartScores& scores_;
  std::set<std::size_t> stream_;
  std::vector<Block> blocks_;
};

TEST_F(SelectParts, RemovesTheLeastShareOneByOne) {
  for (std::uint64_t number = 0; number < 24; ++number) {
    const model::Network some = network(number);
    const PartScores scores = scores_for(some, number);
    const NetworkSize whole = size_of(some);
    const std::size_t parts = some.state().complex() ? 2 : 1;
    // The shares are multiples of 1/8, whose products with counts are exact.
    for (const std::size_t states : {0u, 1u, 3u, 6u, 7u}) {
      for (const std::size_t channels : {0u, 2u, 5u, 7u}) {
        for (const PruneScope scope : {PruneScope::kStream, PruneScope::kBlock}) {
          SCOPED_TRACE(testing::Message() << number << ": " << states << " and " << channels
                                          << " of 8, " << name_of(scope));
          OneByOne wanted(some, scores);
          if (scope == PruneScope::kStream) {
            wanted.drop_stream(whole.stream * (8 - channels) / 8);
          } else {
            wanted.drop_channels(whole.channels * (8 - channels) / 8);
          }
          wanted.drop_modes(whole.states * (8 - states) / 8 / parts);
          const PruneShares shares{static_cast<double>(states) / 8,
                                   static_cast<double>(channels) / 8};
          expect_parts(select_parts(some, scores, shares, scope, whole), wanted.parts());
        }
      }
    }
  }
}

// As many as the share leaves, however they are spread over the blocks, and one for each block.
TEST_F(SelectParts, LeavesExactlyTheShare) {
  for (std::uint64_t number = 0; number < 24; ++number) {
    SCOPED_TRACE(number);
    const model::Network some = network(number);
    const PartScores scores = scores_for(some, number + 100);
    const NetworkSize whole = size_of(some);
    const std::size_t blocks = some.state().shapes.size(), parts = some.state().complex() ? 2 : 1;
    for (std::size_t hundredths = 0; hundredths < 100; hundredths += 9) {
      const double share = static_cast<double>(hundredths) / 100;
      const std::size_t states = whole.states * (100 - hundredths) / 100;
      const std::size_t channels = whole.channels * (100 - hundredths) / 100;
      const model::NetworkParts fewer_states =
          select_parts(some, scores, {share, 0}, PruneScope::kStream, whole);
      EXPECT_EQ(size_of(some.part(fewer_states)).states, parts * std::max(states / parts, blocks));
      EXPECT_EQ(fewer_states.stream, all(some.state().channels()));
      const model::NetworkParts fewer_channels =
          select_parts(some, scores, {0, share}, PruneScope::kBlock, whole);
      EXPECT_EQ(size_of(some.part(fewer_channels)).channels, std::max(channels, blocks));
      EXPECT_EQ(fewer_channels.stream, all(some.state().channels()));
    }
  }
}

// In binary64, 30 (1 - 0.9) is less than 3.
TEST_F(SelectParts, IsNotMisledByRounding) {
  const model::Network some = network(0);
  NetworkSize whole = size_of(some);
  whole.channels = whole.stream = 30;
  const PartScores scores = scores_for(some, 1);
  const model::NetworkParts block = select_parts(some, scores, {0, 0.9}, PruneScope::kBlock, whole);
  EXPECT_EQ(block.blocks[0].channels.size(), 3u);
  const model::NetworkParts stream =
      select_parts(some, scores, {0, 0.9}, PruneScope::kStream, whole);
  EXPECT_EQ(stream.stream.size(), 3u);
}

TEST_F(SelectParts, KeepsTheFirstOfEqualModesAndTheLastOfEqualStreamChannels) {
  const model::Network some = network(0);  // four channels with three modes
  const PartScores equal{{{std::vector<double>(12, 1), std::vector<double>(4, 1)}},
                         std::vector<double>(4, 1)};
  const model::NetworkParts block =
      select_parts(some, equal, {0.75, 0.5}, PruneScope::kBlock, size_of(some));
  EXPECT_THAT(block.stream, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(block.blocks[0].channels, ElementsAre(0, 1));
  EXPECT_THAT(block.blocks[0].modes, ElementsAre(0, 1, 2));
  const model::NetworkParts stream =
      select_parts(some, equal, {0.75, 0.5}, PruneScope::kStream, size_of(some));
  EXPECT_THAT(stream.stream, ElementsAre(2, 3));
  EXPECT_THAT(stream.blocks[0].modes, ElementsAre(6, 7, 8));
}

// One threshold applies to blocks whose scores have different units.
TEST_F(SelectParts, DoesNotDependOnTheUnitsOfABlock) {
  for (std::uint64_t number = 1; number < 12; ++number) {
    SCOPED_TRACE(number);
    const model::Network some = network(number);
    const PartScores scores = scores_for(some, number);
    PartScores scaled = scores;
    for (double& s : scaled.blocks.back().modes) s *= 0x1p40;
    for (double& s : scaled.blocks.back().channels) s *= 0x1p-40;
    for (double& s : scaled.stream) s *= 0x1p20;
    for (const PruneScope scope : {PruneScope::kStream, PruneScope::kBlock}) {
      expect_parts(select_parts(some, scaled, {0.6, 0.3}, scope, size_of(some)),
                   select_parts(some, scores, {0.6, 0.3}, scope, size_of(some)));
    }
  }
}

// Gradual pruning removes from what an earlier pruning has left.
TEST_F(SelectParts, HasNothingToRemoveTheSecondTime) {
  for (std::uint64_t number = 0; number < 12; ++number) {
    for (const PruneScope scope : {PruneScope::kStream, PruneScope::kBlock}) {
      const model::Network some = network(number);
      const NetworkSize whole = size_of(some);
      const model::Network once =
          some.part(select_parts(some, scores_for(some, number), {0.5, 0.5}, scope, whole));
      const PartScores scores = scores_for(once, number + 50);
      expect_parts(select_parts(once, scores, {0.5, 0.5}, scope, whole),
                   model::NetworkParts::of(once));
      // Less than one state of the whole would remain.
      const model::NetworkParts twice =
          select_parts(once, scores, {0.99, 0}, PruneScope::kBlock, whole);
      for (const model::NetworkParts::Block& block : twice.blocks) {
        EXPECT_EQ(block.modes.size(), 1u);
      }
    }
  }
}

TEST_F(SelectParts, CountsStatesAndParametersOfPrunedBlocks) {
  model::ModelOptions o = model::reference::small_options();
  o.norm = model::Norm::kNone;
  o.layers = 2;
  for (const bool real : {false, true}) {
    if (real) {
      o.modes = model::ModeKind::kReal;
      o.init = model::PoleStart::kReal;
    }
    const model::Network whole(o, model::kTask, 1);
    model::NetworkParts parts = model::NetworkParts::of(whole);
    parts.blocks[0].channels = {0, 2};
    parts.blocks[0].modes = {0, 1, whole.state().shapes[0].modes() - 1};
    const NetworkSize size = size_of(whole.part(parts));
    const std::size_t modes = 3 + whole.state().shapes[1].modes();
    EXPECT_EQ(size.stream, 3u);
    EXPECT_EQ(size.channels, 5u);
    EXPECT_EQ(size.states, (real ? 1 : 2) * modes);
    // Encoder 3 x 2 + 3, decoder 4 x 3 + 4; the gate doubles the rows of the pointwise layers.
    const std::size_t linear = 6 * 2 + 6 + 6 * 3 + 6, by_channel = 2 * (2 + 3);  // log_dt and D
    EXPECT_EQ(size.parameters, 9 + 16 + linear + by_channel + (real ? 2 : 4) * modes);
  }
}

}  // namespace
}  // namespace crosstate::prune
