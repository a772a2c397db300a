#include "crosstate/analog/digital_sites.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "crosstate/base/error.h"

namespace crosstate::analog {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

}  // namespace

DigitalSites::DigitalSites(const std::string& list, const std::string& key) : key_(key) {
  constexpr std::pair<std::string_view, Kind> kNames[] = {{"encoder", Kind::kEncoder},
                                                          {"A", Kind::kStates},
                                                          {"C", Kind::kOutputs},
                                                          {"pointwise", Kind::kPointwise},
                                                          {"decoder", Kind::kDecoder}};
  const auto refuse = [&](std::string_view name, const std::string& why) {
    fail(kOptions, key + " = \"" + excerpt(list) + "\": \"" + excerpt(name) + "\" " + why);
  };
  if (trimmed(list).empty()) return;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string_view name = trimmed(std::string_view(list).substr(begin, end - begin));
    begin = end + 1;
    const std::size_t point = name.find('.');
    const std::string_view kind = name.substr(0, point);
    const auto* found = std::ranges::find_if(kNames, [&](auto& n) { return n.first == kind; });
    if (found == std::end(kNames)) {
      refuse(name, "is not a site, expected names among encoder, A, C, pointwise and decoder");
    }
    std::size_t layer = kEveryBlock;
    if (point != std::string_view::npos) {
      if (found->second == Kind::kEncoder || found->second == Kind::kDecoder) {
        refuse(name, "has a number, but the network has only one " + std::string(kind));
      }
      const std::string_view digits = name.substr(point + 1);
      const auto [rest, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), layer);
      if (error != std::errc() || rest != digits.data() + digits.size()) {
        refuse(name, "has no number of a block behind the point, expected one such as A.0");
      }
    }
    if (has(found->second, layer)) refuse(name, "is listed before");
    sites_.push_back({found->second, layer, std::string(name)});
  }
}

bool DigitalSites::has(Kind kind, std::size_t layer) const {
  return std::ranges::any_of(sites_, [&](const Site& s) {
    return s.kind == kind && (s.layer == kEveryBlock || s.layer == layer);
  });
}

DigitalBlock DigitalSites::block(std::size_t layer) const {
  return {has(Kind::kStates, layer), has(Kind::kOutputs, layer), has(Kind::kPointwise, layer)};
}

void DigitalSites::require_blocks(std::size_t layers) const {
  for (const Site& s : sites_) {
    if (s.layer == kEveryBlock || s.layer < layers) continue;
    fail(kOptions, key_ + ": \"" + s.name + "\", but the network has " + std::to_string(layers) +
                       " blocks, counted from 0");
  }
}

}  // namespace crosstate::analog
