#include "crosstate/base/error.h"

#include <algorithm>

namespace crosstate {
namespace {

// Bytes of the character of UTF-8 that the text begins with; 0 for what is none (RFC 3629).
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first < 0xc2   ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) >= 0xa0;
  const bool beyond = first == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : size;
}

}  // namespace

void fail(std::string_view where, std::string_view what) {
  std::string message(where);
  message += ": ";
  message += what;
  throw Error(message);
}

std::string excerpt(std::string_view text, std::size_t most) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character_size(text.substr(at));
    const std::size_t taken = std::max<std::size_t>(size, 1);
    if (at + taken > most) return result + "...";
    const auto c = static_cast<unsigned char>(text[at]);
    const bool shown = size > 1 || (size == 1 && c >= ' ' && c != 0x7f);
    if (shown) {
      result += text.substr(at, taken);
    } else {
      result += '?';
    }
    at += taken;
  }
  return result;
}

}  // namespace crosstate
