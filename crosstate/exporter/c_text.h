// Pieces of generated C: names, types, tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace crosstate::exporter {

/// A file of an exported project; `path` is relative to its directory.
struct SourceFile {
  std::string path, text;
};

/// An integer type of <stdint.h>.
struct CType {
  const char* name;
  std::int64_t low, high;
  int bytes;
};
/// The smallest type, signed if possible, that holds low .. high.
const CType& smallest_type(std::int64_t low, std::int64_t high);
const CType& smallest_type(std::span<const std::int64_t> values);

/// A constant of any type up to int64_t.
std::string c_number(std::int64_t value);
/// Values as the initialiser of an array, in lines of at most 100 characters that are indented by
/// two spaces, without braces.
std::string c_values(std::span<const std::int64_t> values);
/// "static const TYPE NAME[COUNT] = {...};" and a line break. An empty array gets one element,
/// since C has no empty ones.
std::string c_array(const std::string& type, const std::string& name,
                    std::span<const std::int64_t> values);
/// A text as a string literal.
std::string c_string(const std::string& text);

/// A prefix of C names from any text: lower case, digits and underscores, beginning with a letter.
std::string c_prefix(const std::string& text);
/// Throws Error (`where`: the setting) unless a prefix is one that c_prefix() could return.
void require_prefix(const std::string& prefix, const std::string& where);
/// Replaces %n% by the prefix and %N% by the prefix in upper case.
std::string fill(std::string text, const std::string& prefix);
/// Replaces every occurrence of `from`.
std::string replaced(std::string text, const std::string& from, const std::string& to);

}  // namespace crosstate::exporter
