#include "crosstate/prune/select.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "crosstate/model/network_state.h"
#include "crosstate/prune/mode_scores.h"

namespace crosstate::prune {
namespace {

std::size_t rest(std::size_t whole, double share) {
  return static_cast<std::size_t>(std::floor(static_cast<double>(whole) * (1 - share) + 1e-9));
}

// Marks the parts to keep, block by block.
class Selection {
 public:
  explicit Selection(const model::Network::State& s) : s_(s), stream_(s.channels(), true) {
    for (const model::BlockShape& shape : s.shapes) {
      channels_.emplace_back(shape.size(), true);
      modes_.emplace_back(shape.modes(), true);
    }
  }

  void drop_stream(const std::vector<double>& scores, std::size_t keep) {
    std::size_t left = stream_.size();
    for (const std::size_t h : ascending(scores)) {
      if (left <= std::max<std::size_t>(keep, 1)) return;
      stream_[h] = false;
      if (every_block_lives()) {
        --left;
      } else {
        stream_[h] = true;
      }
    }
  }

  void drop_channels(const PartScores& scores, std::size_t keep) {
    std::vector<double> shares;
    for (const PartScores::Block& block : scores.blocks)
      append(shares, shares_of_rest(block.channels));
    drop(channels_, shares, keep);
  }

  void drop_modes(const PartScores& scores, std::size_t keep) {
    std::vector<double> shares;
    for (std::size_t l = 0; l < modes_.size(); ++l) {
      std::vector<double> of_block = scores.blocks[l].modes;
      for (std::size_t i = 0; i < of_block.size(); ++i) {
        if (!lives(l, i)) of_block[i] = 0;
      }
      append(shares, shares_of_rest(of_block));
      for (std::size_t i = 0; i < of_block.size(); ++i) {
        if (!lives(l, i)) modes_[l][i] = false;
      }
    }
    drop(modes_, shares, keep);
  }

  model::NetworkParts parts() const {
    model::NetworkParts parts;
    parts.stream = numbers(stream_);
    for (std::size_t l = 0; l < modes_.size(); ++l) {
      parts.blocks.push_back({numbers(channels_[l]), numbers(modes_[l])});
    }
    return parts;
  }

 private:
  using Marks = std::vector<std::vector<bool>>;

  static std::vector<std::size_t> ascending(const std::vector<double>& scores) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
    return order;
  }
  static void append(std::vector<double>& to, const std::vector<double>& from) {
    to.insert(to.end(), from.begin(), from.end());
  }
  static std::vector<std::size_t> numbers(const std::vector<bool>& marks) {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < marks.size(); ++i) {
      if (marks[i]) out.push_back(i);
    }
    return out;
  }

  std::size_t channel_of(std::size_t l, std::size_t mode) const {
    const std::vector<std::size_t>& first = s_.shapes[l].first;
    return static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), mode) -
                                    first.begin() - 1);
  }
  // Whether a mode and its channel are kept.
  bool lives(std::size_t l, std::size_t mode) const {
    const std::size_t h = channel_of(l, mode);
    return modes_[l][mode] && channels_[l][h] && stream_[s_.shapes[l].channels[h]];
  }
  bool block_lives(std::size_t l) const {
    for (std::size_t i = 0; i < modes_[l].size(); ++i) {
      if (lives(l, i)) return true;
    }
    return false;
  }
  bool every_block_lives() const {
    for (std::size_t l = 0; l < modes_.size(); ++l) {
      if (!block_lives(l)) return false;
    }
    return true;
  }

  // Clears the marks with the smallest shares, over all blocks, until `keep` are left.
  void drop(Marks& marks, const std::vector<double>& shares, std::size_t keep) {
    std::size_t left = 0;
    std::vector<std::pair<std::size_t, std::size_t>> place;
    for (std::size_t l = 0; l < marks.size(); ++l) {
      left += static_cast<std::size_t>(std::count(marks[l].begin(), marks[l].end(), true));
      for (std::size_t i = 0; i < marks[l].size(); ++i) place.emplace_back(l, i);
    }
    for (const std::size_t k : ascending(shares)) {
      if (left <= keep) return;
      const auto [l, i] = place[k];
      if (!marks[l][i]) continue;
      marks[l][i] = false;
      if (block_lives(l)) {
        --left;
      } else {
        marks[l][i] = true;
      }
    }
  }

  const model::Network::State& s_;
  std::vector<bool> stream_;
  Marks channels_, modes_;
};

}  // namespace

NetworkSize size_of(const model::Network& network) {
  const model::Network::State& s = network.state();
  NetworkSize size;
  size.stream = s.channels();
  for (const model::BlockShape& shape : s.shapes) {
    size.states += shape.modes() * (s.complex() ? 2 : 1);
    size.channels += shape.size();
  }
  size.parameters = network.parameter_count();
  return size;
}

model::NetworkParts select_parts(const model::Network& network, const PartScores& scores,
                                 const PruneShares& shares, PruneScope scope,
                                 const NetworkSize& whole) {
  Selection selection(network.state());
  if (scope == PruneScope::kStream) {
    selection.drop_stream(scores.stream, rest(whole.stream, shares.channels));
  } else {
    selection.drop_channels(scores, rest(whole.channels, shares.channels));
  }
  const std::size_t parts = network.state().complex() ? 2 : 1;
  selection.drop_modes(scores, rest(whole.states, shares.states) / parts);
  return selection.parts();
}

}  // namespace crosstate::prune
