// The only exception type of the library: an error in the input, in at most three lines.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace crosstate {

/// Invalid input or an unusable environment (file, key, value). The message names the source, what
/// was found and what is expected. Programs print it and exit with code 2.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error with "where: what" as UTF-8: fail("labels.idx", "magic 0x0803, expected 0x0801").
[[noreturn]] void fail(std::string_view where, std::string_view what);

/// Sanitises external text for a message: converts to UTF-8 by as_utf8(), replaces control
/// characters by '?', and cuts text longer than `most` bytes between two characters, adding "...".
std::string excerpt(std::string_view text, std::size_t most = 80);

}  // namespace crosstate
