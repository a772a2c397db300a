#include "crosstate/base/lists.h"

#include <algorithm>

namespace crosstate {

std::vector<std::string> split_list(std::string_view text) {
  const char separator = text.find(',') == std::string_view::npos ? ' ' : ',';
  std::vector<std::string> entries;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    const std::size_t first = std::min(text.find_first_not_of(' ', begin), end);
    if (first < end) {
      entries.emplace_back(text.substr(first, text.find_last_not_of(' ', end - 1) + 1 - first));
    }
    begin = end + 1;
  }
  return entries;
}

}  // namespace crosstate
