#include <algorithm>

#include "crosstate/base/error.h"
#include "crosstate/base/utf8.h"
#include "fuzz/target.h"

namespace crosstate::fuzz {
namespace {

bool fits_terminal(std::string_view message) {
  constexpr std::size_t kLongest = 600;
  const auto is_printable = [](char c) { return c < 0 || c == '\n' || (c >= ' ' && c < 0x7f); };
  return message.size() <= kLongest && as_utf8(message) == message &&
         std::count(message.begin(), message.end(), '\n') < 3 &&
         std::all_of(message.begin(), message.end(), is_printable);
}

}  // namespace

bool accepts(const std::string& bytes) {
  try {
    read(bytes);
    return true;
  } catch (const Error& error) {
    require(fits_terminal(error.what()), std::string("a short message, not ") + error.what());
    return false;
  }
}

}  // namespace crosstate::fuzz
