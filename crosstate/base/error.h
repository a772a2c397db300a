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

/// The place in messages about options, unless the file or the argument that sets them is known.
inline constexpr std::string_view kOptions = "options";

/// Replaces kOptions at the beginning of a message by another place.
std::string with_place(std::string_view message, std::string_view where);

/// Calls f(). An Error about options that it throws is about `where`, the file that holds them.
template <class F>
auto about_file(const std::string& where, const F& f) {
  try {
    return f();
  } catch (const Error& error) {
    throw Error(with_place(error.what(), where));
  }
}

/// Sanitises external text for a message: converts to UTF-8 by as_utf8(), replaces control
/// characters by '?', and cuts text longer than `most` bytes between two characters, adding "...".
std::string excerpt(std::string_view text, std::size_t most = 80);

}  // namespace crosstate
