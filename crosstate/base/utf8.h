// Text from outside - names of files and folders, lines of files - as UTF-8, which JSON and the
// terminal expect. Everything of that kind goes through here before it becomes part of a result.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crosstate {

/// The text with U+FFFD in place of every sequence of bytes that is not UTF-8; valid text stays as
/// it is.
std::string as_utf8(std::string_view text);

/// The longest beginning of valid UTF-8 text that has at most `most` bytes and ends with a whole
/// character.
std::string_view cut_utf8(std::string_view text, std::size_t most);

/// The text in lines of at most `columns` characters, broken between words; `indent` spaces more
/// begin each but the first. A longer word has a line of its own.
std::string folded(std::string_view text, std::size_t columns, std::size_t indent);

}  // namespace crosstate
