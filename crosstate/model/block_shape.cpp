#include "crosstate/model/block_shape.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "crosstate/base/error.h"

namespace crosstate::model {
namespace {

std::vector<std::size_t> load_counts(const formats::Tensor& tensor, std::size_t most_values,
                                     std::size_t top, const std::string& where) {
  if (tensor.shape.size() != 1 || tensor.shape[0] < 1 || tensor.shape[0] > most_values) {
    fail(where, "expected one dimension of 1 to " + std::to_string(most_values));
  }
  std::vector<std::size_t> out;
  for (const std::int32_t v : tensor.integers<std::int32_t>(tensor.shape, where)) {
    if (v < 0 || static_cast<std::size_t>(v) > top) {
      fail(where, "holds " + std::to_string(v) + ", expected 0 to " + std::to_string(top));
    }
    out.push_back(static_cast<std::size_t>(v));
  }
  return out;
}

formats::Tensor tensor_of(const std::vector<std::size_t>& values) {
  const std::vector<std::int32_t> numbers(values.begin(), values.end());
  return formats::Tensor::from(numbers, {numbers.size()});
}

}  // namespace

std::vector<std::size_t> BlockShape::counts() const {
  std::vector<std::size_t> out;
  for (std::size_t s = 0; s < size(); ++s) out.push_back(modes(s));
  return out;
}

void save_shape(const BlockShape& shape, const BlockShape& whole, const std::string& at,
                formats::Safetensors& out) {
  if (shape == whole) return;
  if (shape.channels != whole.channels) out.tensors[at + "channels"] = tensor_of(shape.channels);
  out.tensors[at + "modes"] = tensor_of(shape.counts());
}

BlockShape load_shape(const formats::Safetensors& content, const BlockShape& whole,
                      const std::string& at, const std::string& where) {
  const std::size_t stream = whole.size(), most = whole.modes(0);
  const auto channels = content.tensors.find(at + "channels");
  const auto modes = content.tensors.find(at + "modes");
  const auto place = [&](const char* name) { return where + ": tensor '" + at + name + "'"; };
  if (modes == content.tensors.end()) {
    if (channels == content.tensors.end()) return whole;
    fail(where, "tensor '" + at + "channels' stands without '" + at + "modes'");
  }
  std::vector<std::size_t> of_stream = whole.channels;
  if (channels != content.tensors.end()) {
    of_stream = load_counts(channels->second, stream, stream - 1, place("channels"));
    const auto wrong = std::adjacent_find(of_stream.begin(), of_stream.end(), std::greater_equal());
    if (wrong != of_stream.end()) fail(place("channels"), "the numbers do not ascend");
  }
  BlockShape shape(of_stream, load_counts(modes->second, stream, most, place("modes")));
  if (shape.first.size() != shape.size() + 1) {
    fail(place("modes"), std::to_string(shape.first.size() - 1) + " numbers, expected " +
                             std::to_string(shape.size()) + ", one per channel");
  }
  if (shape.modes() == 0) fail(place("modes"), "no channel has modes, expected at least one");
  return shape;
}

}  // namespace crosstate::model
