// TOML files as tables whose every value knows its line. Only what reads files of its own shape
// includes this; options come through a FieldList.
#pragma once

#include <toml++/toml.h>

#include <string>

namespace crosstate {

/// The table that the text holds; `path` names the file in errors, which carry the line. Above all
/// sections a file may say `version = 1`, the version of its keys; the table comes without it.
/// Throws Error for what is not TOML, for another version, and for keys of many dots, which could
/// exhaust the stack.
toml::table parse_toml_table(const std::string& text, const std::string& path);

/// "path:line".
std::string toml_place(const std::string& path, const toml::source_region& source);

}  // namespace crosstate
