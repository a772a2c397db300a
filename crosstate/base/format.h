// Kind and version of the files that the program writes and reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace crosstate {

/// The format of a kind of file: "crosstate network 2" is version 2 of networks.
class FileFormat {
 public:
  /// Version `newest` is written; files of versions `oldest` to `newest` are read.
  constexpr FileFormat(std::string_view kind, int newest, int oldest = 1)
      : kind_(kind), newest_(newest), oldest_(oldest) {}

  /// The format written: "crosstate network 2".
  std::string text() const;

  /// The version in `text`; nothing if it is of another kind.
  std::optional<int> find(std::string_view text) const;

  /// The same for the format stored in the file `where`. Throws Error quoting `found` for another
  /// kind, for a version above `newest` (written by a newer crosstate) and for one below `oldest`.
  int version_of(std::string_view found, const std::string& where) const;

 private:
  std::string_view kind_;
  int newest_, oldest_;
};

}  // namespace crosstate
