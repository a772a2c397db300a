#include "crosstate/base/error.h"

#include <algorithm>

#include "crosstate/base/utf8.h"

namespace crosstate {

void fail(std::string_view where, std::string_view what) {
  std::string message(where);
  message += ": ";
  message += what;
  throw Error(as_utf8(message));
}

std::string with_place(std::string_view message, std::string_view where) {
  const std::size_t size = kOptions.size();
  if (!message.starts_with(kOptions) || message.substr(size, 2) != ": ")
    return std::string(message);
  return as_utf8(std::string(where)) + std::string(message.substr(size));
}

std::string excerpt(std::string_view text, std::size_t most) {
  constexpr std::size_t kLongestCharacter = 4;
  const std::string valid = as_utf8(text.substr(0, most + kLongestCharacter));
  std::string result(cut_utf8(valid, most));
  std::replace_if(
      result.begin(), result.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return result.size() < valid.size() ? result + "..." : result;
}

}  // namespace crosstate
