// The directory of a command's results: written by one process at a time, and earlier results are
// replaced only on request.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "crosstate/base/lock.h"

namespace crosstate::pipeline {

/// What happens to results of an earlier run in the directory.
enum class Earlier {
  kRefuse,
  kContinue,  // keeps those of the same command, rejects those of others
  kReplace,   // removes them
};

/// Whether the object locks its directory, or is inside one that is already locked.
enum class Guard { kLock, kAlreadyLocked };

/// Commands write two kinds of results. A run (train, demo, prune, quantize, deploy, simulate,
/// sweep, search) has the directory to itself. Reports of the other commands, COMMAND.json, may be
/// beside a run and beside each other. A file crosstate.json lists the commands that have written
/// results; only files known to belong to them are ever removed.
class OutputDirectory {
 public:
  /// Creates the directory and locks it for the lifetime of the object. Removes nothing. Throws
  /// Error for a directory that cannot be written or is locked by another process, and for one with
  /// results that `earlier` does not allow: an earlier run if the command is a run, and any file
  /// that the command would write. demo may always replace its own runs.
  OutputDirectory(std::filesystem::path path, std::string command, Earlier earlier,
                  Guard guard = Guard::kLock);
  /// Removes the directory and its parents that the object has created, if begin() was not called
  /// and they are empty.
  ~OutputDirectory();
  OutputDirectory(OutputDirectory&&) noexcept;
  OutputDirectory& operator=(OutputDirectory&&) noexcept;

  const std::filesystem::path& path() const;

  /// Whether the command has results here that it would continue.
  bool continues() const;

  /// Files that begin() does not remove, in addition to its `inputs`.
  void keep(const std::vector<std::filesystem::path>& files);

  /// A warning for the user if the file system has no locks; else empty.
  std::string note() const;

  /// Call this after all inputs have been read and validated, before the first result: removes
  /// results to be replaced, except those among `inputs`, and files that interrupted writes have
  /// left, and records the command in crosstate.json.
  void begin(const std::vector<std::filesystem::path>& inputs = {});

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::pipeline
