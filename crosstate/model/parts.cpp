#include "crosstate/model/parts.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/model/network_state.h"

namespace crosstate::model {
namespace {

using Numbers = std::vector<std::size_t>;

Numbers all(std::size_t count) {
  Numbers numbers(count);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return numbers;
}

void require_numbers(const Numbers& numbers, std::size_t count, const std::string& what) {
  const bool ascending =
      std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal()) == numbers.end();
  if (!numbers.empty() && ascending && numbers.back() < count) return;
  fail("parts",
       what + ": expected ascending numbers below " + std::to_string(count) + ", at least one");
}

bool contains(const Numbers& sorted, std::size_t number) {
  return std::binary_search(sorted.begin(), sorted.end(), number);
}

// The remaining parts of the arrays of one block.
struct KeptBlock {
  Numbers positions;  // of the channels of the block
  Numbers modes;
  BlockShape shape;  // with the indices of the new network
};

KeptBlock kept_block(const BlockShape& shape, const NetworkParts& parts, std::size_t l) {
  const std::string what = "block " + std::to_string(l);
  const NetworkParts::Block& wanted = parts.blocks[l];
  require_numbers(wanted.channels, shape.size(), what + ", channels");
  require_numbers(wanted.modes, shape.modes(), what + ", modes");
  KeptBlock kept;
  Numbers channels, counts;
  for (const std::size_t s : wanted.channels) {
    const auto at = std::lower_bound(parts.stream.begin(), parts.stream.end(), shape.channels[s]);
    if (at == parts.stream.end() || *at != shape.channels[s]) continue;
    kept.positions.push_back(s);
    channels.push_back(static_cast<std::size_t>(at - parts.stream.begin()));
    const std::size_t before = kept.modes.size();
    for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
      if (contains(wanted.modes, i)) kept.modes.push_back(i);
    }
    counts.push_back(kept.modes.size() - before);
  }
  kept.shape = BlockShape(channels, counts);
  if (kept.modes.empty()) fail("parts", what + ": no mode is left, expected at least one");
  return kept;
}

// [rows][width] of `from`, only the listed rows.
template <class T>
std::vector<T> rows_of(const std::vector<T>& from, const Numbers& rows, std::size_t width = 1) {
  std::vector<T> out;
  for (const std::size_t r : rows) {
    const auto row = from.begin() + static_cast<std::ptrdiff_t>(r * width);
    out.insert(out.end(), row, row + static_cast<std::ptrdiff_t>(width));
  }
  return out;
}

std::vector<float> columns_of(const std::vector<float>& from, std::size_t width,
                              const Numbers& columns) {
  std::vector<float> out;
  for (std::size_t row = 0; row < from.size(); row += width) {
    for (const std::size_t c : columns) out.push_back(from[row + c]);
  }
  return out;
}

// Fills the parameters of a smaller network from those of the network of which it is a part.
class Filler {
 public:
  Filler(const Network::State& from, const NetworkParts& parts, Network::State& to)
      : from_(from), stream_(parts.stream), to_(to), outputs_(parts.stream) {
    if (!from.gated()) return;
    for (const std::size_t h : stream_) outputs_.push_back(from.channels() + h);
  }

  void ends() {
    rows(from_.encoder, to_.encoder, stream_, static_cast<std::size_t>(from_.task.inputs));
    rows(from_.encoder_bias, to_.encoder_bias, stream_);
    to_.parameters[to_.decoder].value =
        columns_of(from_.parameters[from_.decoder].value, from_.channels(), stream_);
    value(to_.decoder_bias) = from_.parameters[from_.decoder_bias].value;
  }

  void block(std::size_t l, const KeptBlock& kept) {
    const BlockParameters &p = from_.blocks[l], &q = to_.blocks[l];
    const std::size_t parts = from_.complex() ? 2 : 1;
    rows(p.log_dt, q.log_dt, kept.positions);
    rows(p.d, q.d, kept.positions);
    rows(p.log_a, q.log_a, kept.modes);
    if (from_.complex()) rows(p.w, q.w, kept.modes);
    if (from_.options.train_b) rows(p.b, q.b, kept.modes, parts);
    rows(p.c, q.c, kept.modes, parts);
    const std::size_t width = from_.shapes[l].size();
    value(q.weight) = columns_of(rows_of(from_.parameters[p.weight].value, outputs_, width), width,
                                 kept.positions);
    rows(p.bias, q.bias, outputs_);
    if (from_.options.norm != Norm::kNone) {
      const Numbers& normed = from_.batch_norm() ? outputs_ : stream_;
      rows(p.gamma, q.gamma, normed);
      rows(p.beta, q.beta, normed);
    }
    if (from_.batch_norm()) {
      to_.statistics[l] = {rows_of(from_.statistics[l].mean, outputs_),
                           rows_of(from_.statistics[l].variance, outputs_)};
    }
    if (from_.quantized) to_.state_steps[l] = rows_of(from_.state_steps[l], kept.modes);
  }

  void ranges() {
    for (std::size_t index = to_.input_range; index < to_.parameters.size(); ++index) {
      Parameter& p = to_.parameters[index];
      if (p.name.starts_with("scale.")) continue;
      p.value =
          std::find_if(from_.parameters.begin(), from_.parameters.end(), [&](const Parameter& q) {
            return q.name == p.name;
          })->value;
    }
    to_.quant_mins = from_.quant_mins;
  }

  void learned_scales(const std::vector<KeptBlock>& blocks) {
    const quant::QuantOptions& quant = from_.quant;
    scales(quant.encoder, from_.encoder_scale, to_.encoder_scale, stream_);
    if (quant.decoder.learned)
      value(to_.decoder_scale) = from_.parameters[from_.decoder_scale].value;
    for (std::size_t l = 0; l < blocks.size(); ++l) {
      const BlockParameters &p = from_.blocks[l], &q = to_.blocks[l];
      scales(quant.c, p.c_scale, q.c_scale, blocks[l].positions);
      scales(quant.d, p.d_scale, q.d_scale, blocks[l].positions);
      scales(quant.weight, p.weight_scale, q.weight_scale, outputs_);
    }
  }

 private:
  std::vector<float>& value(std::size_t index) { return to_.parameters[index].value; }
  void rows(std::size_t from, std::size_t to, const Numbers& kept, std::size_t width = 1) {
    value(to) = rows_of(from_.parameters[from].value, kept, width);
  }

  void scales(const quant::WeightSite& site, std::size_t from, std::size_t to,
              const Numbers& kept) {
    if (!site.learned) return;
    if (site.granularity == quant::Granularity::kChannel) return rows(from, to, kept);
    value(to) = from_.parameters[from].value;
  }

  const Network::State& from_;
  const Numbers& stream_;
  Network::State& to_;
  Numbers outputs_;  // remaining rows of the pointwise layers
};

}  // namespace

NetworkParts NetworkParts::of(const Network& network) {
  NetworkParts parts;
  parts.stream = all(network.state().channels());
  for (const BlockShape& shape : network.state().shapes) {
    parts.blocks.push_back({all(shape.size()), all(shape.modes())});
  }
  return parts;
}

Network Network::part(const NetworkParts& kept) const {
  const State& s = *state_;
  require_numbers(kept.stream, s.channels(), "stream");
  if (kept.blocks.size() != s.blocks.size()) {
    fail("parts", std::to_string(kept.blocks.size()) + " blocks, expected " +
                      std::to_string(s.blocks.size()));
  }
  std::vector<KeptBlock> blocks;
  std::vector<BlockShape> shapes;
  std::size_t most = 0;
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    blocks.push_back(kept_block(s.shapes[l], kept, l));
    shapes.push_back(blocks.back().shape);
    for (const std::size_t count : shapes.back().counts()) most = std::max(most, count);
  }
  ModelOptions options = s.options;
  options.channels = static_cast<int>(kept.stream.size());
  options.states = static_cast<int>(s.complex() ? 2 * most : most);
  Network part = unfilled(options, s.task, shapes);
  if (s.quantized) {
    part.state_->quant = s.quant;
    part.state_->quantized = true;
    part.state_->add_ranges();
  }
  Filler fill(s, kept, *part.state_);
  fill.ends();
  for (std::size_t l = 0; l < blocks.size(); ++l) fill.block(l, blocks[l]);
  if (s.quantized) {
    fill.ranges();
    fill.learned_scales(blocks);
  }
  return part;
}

}  // namespace crosstate::model
