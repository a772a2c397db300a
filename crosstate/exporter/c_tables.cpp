#include "crosstate/exporter/c_tables.h"

#include <algorithm>
#include <functional>
#include <span>

#include "crosstate/exporter/pack.h"

namespace crosstate::exporter {
namespace {

std::vector<std::int64_t> joined(const PerBlock& values) {
  std::vector<std::int64_t> all;
  for (const auto& of_block : values) all.insert(all.end(), of_block.begin(), of_block.end());
  return all;
}

bool all_equal(const std::vector<std::int64_t>& values) {
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
}

constexpr int kPointer = 4;  // bytes on a 32-bit processor

// Shift counts and sizes are then never negative for a compiler either.
const CType& unsigned_first(const std::vector<std::int64_t>& values) {
  constexpr std::int64_t kMost = 65535;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const bool small = !values.empty() && *low >= 0 && *high <= kMost;
  return small ? smallest_type(0, *high > 255 ? kMost : 255) : smallest_type(values);
}

}  // namespace

std::string Tables::array_name(const std::string& name, std::size_t block) const {
  return structure_.empty() ? name : name + "_" + std::to_string(block);
}

Reference Tables::scalar(const std::string& name, const std::vector<std::int64_t>& values) {
  if (all_equal(values)) return {c_number(values.at(0)), "", false, true};
  const CType& type = unsigned_first(values);
  Member member{std::string(type.name) + " " + name, {}};
  for (const std::int64_t v : values) member.values.push_back(c_number(v));
  members_.push_back(std::move(member));
  bytes_ += static_cast<std::size_t>(type.bytes) * blocks_;
  return {structure_ + "->" + name, type.name, false, false};
}

Reference Tables::table(const std::string& name, const PerBlock& values) {
  const std::vector<std::int64_t> all = joined(values);
  if (!all.empty() && all_equal(all)) return {c_number(all[0]), "", false, true};
  if (std::all_of(values.begin(), values.end(),
                  [](const auto& v) { return !v.empty() && all_equal(v); })) {
    std::vector<std::int64_t> firsts;
    for (const auto& of_block : values) firsts.push_back(of_block[0]);
    return scalar(name, firsts);
  }
  return array(name, values);
}

Reference Tables::array(const std::string& name, const PerBlock& values, const CType* forced) {
  const CType& type = forced != nullptr ? *forced : unsigned_first(joined(values));
  Member member{std::string("const ") + type.name + " *" + name, {}};
  for (std::size_t b = 0; b < values.size(); ++b) {
    const std::string full = array_name(name, b);
    arrays_ += c_array(type.name, full, values[b]);
    member.values.push_back(full);
    bytes_ += static_cast<std::size_t>(type.bytes) * values[b].size();
  }
  if (structure_.empty()) return {name, type.name, true, false};
  members_.push_back(std::move(member));
  bytes_ += kPointer * blocks_;
  return {structure_ + "->" + name, type.name, true, false};
}

Weights Tables::weights(const std::string& name, const PerBlock& codes,
                        const std::vector<int>& widths, const PerBlock& columns) {
  const auto equal = [](const auto& values) {
    return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
  };
  Weights out;
  // The declared width decides, so that sites of the same width have the same type.
  const int widest = *std::max_element(widths.begin(), widths.end());
  const std::int64_t most = widest <= 8 ? 127 : 32767;
  const CType& type = smallest_type(-most, most);
  out.type = type.name;
  if ((widths[0] == 8 || widths[0] == 16) && equal(widths)) {
    out.data = array(name, codes, &type);
    return out;
  }
  std::vector<int> bits;
  for (std::size_t b = 0; b < codes.size(); ++b) {
    bits.push_back(packed_bits(widths[b], codes[b]));
  }
  out.widths = bits;
  const bool words = (bits[0] == 2 || bits[0] == 4) && equal(bits);
  out.storage = words ? Storage::kWords : Storage::kStream;
  PerBlock stored;
  for (std::size_t b = 0; b < codes.size(); ++b) {
    if (!words) {
      stored.push_back(in_stream(bits[b], codes[b]));
      continue;
    }
    std::vector<std::int64_t>& to = stored.emplace_back();
    std::span<const std::int64_t> rest = codes[b];
    for (std::size_t row = 0; !rest.empty(); ++row) {
      const auto count = static_cast<std::size_t>(columns[b][std::min(row, columns[b].size() - 1)]);
      const auto of_row = in_words(bits[b], rest.first(count));
      to.insert(to.end(), of_row.begin(), of_row.end());
      rest = rest.subspan(count);
    }
  }
  const std::int64_t largest = words ? 65535 : 255;
  out.data = array(name, stored, &smallest_type(0, largest));
  if (words) {
    out.bits = bits[0];
  } else {
    out.width = scalar(name + "_bits", {bits.begin(), bits.end()});
  }
  return out;
}

std::string Tables::members() const {
  std::string text;
  for (const Member& member : members_) text += "  " + member.declaration + ";\n";
  return text;
}

std::string Tables::initialiser(std::size_t block) const {
  std::string text;
  for (const Member& member : members_) {
    text += (text.empty() ? "" : ", ") + member.values[block];
  }
  return "{" + text + "}";
}

}  // namespace crosstate::exporter
