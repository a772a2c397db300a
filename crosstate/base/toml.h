// TOML files as tables in which every value has its line. Only included by sources that read files
// of their own format; options are read through a FieldList.
#pragma once

#include <toml++/toml.h>

#include <string>

namespace crosstate {

/// Parses a table; `path` names the file in errors, which have the line. Before all sections a file
/// may have `version = 1`, the version of its keys, which is removed from the table. Throws Error
/// for text that is not TOML, for another version, and for keys with many dots, which could exhaust
/// the stack.
toml::table parse_toml_table(const std::string& text, const std::string& path);

/// "path:line".
std::string toml_place(const std::string& path, const toml::source_region& source);

}  // namespace crosstate
