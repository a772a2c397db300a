// The one exception type of the library: bad input, told in at most three lines.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace crosstate {

/// Bad input or an unusable environment (file, key, value). The message names what was read, what
/// was found there and what would be right. Programs print it and exit with code 2.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error with "where: what" as UTF-8: fail("labels.idx", "magic 0x0803, expected 0x0801").
[[noreturn]] void fail(std::string_view where, std::string_view what);

/// Text from outside, made fit for a message: UTF-8 by as_utf8(), control characters become '?',
/// and what is longer than `most` bytes is cut between two characters and ends in "...".
std::string excerpt(std::string_view text, std::size_t most = 80);

}  // namespace crosstate
