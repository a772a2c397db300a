#include "crosstate/base/error.h"

#include <algorithm>

namespace crosstate {

void fail(std::string_view where, std::string_view what) {
  std::string message(where);
  message += ": ";
  message += what;
  throw Error(message);
}

std::string excerpt(std::string_view text, std::size_t most) {
  std::string result(text.substr(0, most));
  std::replace_if(
      result.begin(), result.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, '?');
  return text.size() > most ? result + "..." : result;
}

}  // namespace crosstate
