// Conversion of external text (names of files and folders, lines of files) to UTF-8, which JSON and
// terminals require. All such text is converted here before it becomes part of a result.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crosstate {

/// Replaces every byte sequence that is not UTF-8 by U+FFFD; valid text is unchanged.
std::string as_utf8(std::string_view text);

/// The longest prefix of valid UTF-8 text that has at most `most` bytes and ends with a complete
/// character.
std::string_view cut_utf8(std::string_view text, std::size_t most);

/// Wraps text into lines of at most `columns` characters, broken between words; all lines but the
/// first are indented by `indent` spaces. A longer word gets a line of its own.
std::string folded(std::string_view text, std::size_t columns, std::size_t indent);

}  // namespace crosstate
