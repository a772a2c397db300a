#include "crosstate/base/format.h"

#include <charconv>

#include "crosstate/base/error.h"

namespace crosstate {

std::string FileFormat::text() const { return std::string(kind_) + ' ' + std::to_string(newest_); }

std::optional<int> FileFormat::find(std::string_view text) const {
  if (!text.starts_with(kind_)) return std::nullopt;
  text.remove_prefix(kind_.size());
  if (text.size() < 2 || text[0] != ' ' || text[1] < '1' || text[1] > '9') return std::nullopt;
  text.remove_prefix(1);
  int version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return version;
}

int FileFormat::version_of(std::string_view found, const std::string& where) const {
  const std::optional<int> version = find(found);
  if (version && *version >= oldest_ && *version <= newest_) return *version;
  std::string message = found.empty() ? "empty format" : "format '" + excerpt(found) + '\'';
  message += ", expected '" + text() + '\'';
  if (oldest_ < newest_) message += " or a version from " + std::to_string(oldest_);
  if (version) {
    message += *version > newest_ ? ": it was written by a newer version of crosstate"
                                  : ": it was written by an older version of crosstate, whose "
                                    "files are no longer supported";
  }
  fail(where, message);
}

}  // namespace crosstate
