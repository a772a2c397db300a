// Shared by the fuzz targets. A target is one file fuzz/NAME.cpp that defines read(), with sample
// files in fuzz/corpus/NAME; fuzz/main/ runs it under libFuzzer or on its samples.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace crosstate::fuzz {

/// Reads the bytes of one file. May throw Error for a file that it rejects, and nothing else.
void read(const std::string& bytes);

/// Checks a property of every accepted file.
inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error("violated property: " + what);
}

/// Whether read() accepts the bytes; other exceptions propagate. The message of a rejected file
/// must be short and printable.
bool accepts(const std::string& bytes);

}  // namespace crosstate::fuzz
