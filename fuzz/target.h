// What the fuzz targets share. A target is one file fuzz/NAME.cpp that defines read(), with sample
// files in fuzz/corpus/NAME; fuzz/main/ runs it under libFuzzer or over its samples.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace crosstate::fuzz {

/// Reads the bytes of one file. May throw Error, for a file that it refuses, and nothing else.
void read(const std::string& bytes);

/// For what must hold of every file that was accepted.
inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error("broken promise: " + what);
}

/// Whether read() accepts the bytes; whatever else it throws passes through. A refusal must fit a
/// terminal: short and printable.
bool accepts(const std::string& bytes);

}  // namespace crosstate::fuzz
