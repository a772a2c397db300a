// The directory of a command's results: written by one process at a time, and never over an earlier
// run without being told to.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "crosstate/base/lock.h"

namespace crosstate::pipeline {

/// What becomes of results that an earlier run left in the directory.
enum class Earlier {
  kRefuse,
  kContinue,  // those of the same command stay, those of others are refused
  kReplace,   // they are removed
};

/// Whether the object locks its directory, or stands inside one that is locked already.
enum class Guard { kLock, kAlreadyLocked };

/// Commands leave two kinds of results. A run (train, demo, prune, quantize, deploy, simulate,
/// sweep, search) has the directory to itself. Reports of the others, COMMAND.json, may stand
/// beside a run and beside each other. A file crosstate.json says which commands have left results;
/// only files of theirs, by name, are ever removed.
class OutputDirectory {
 public:
  /// Makes the directory and locks it for as long as the object lives. Removes nothing. Throws
  /// Error for a directory that cannot be written or that another process holds, and for one with
  /// results that `earlier` does not allow: an earlier run where the command is a run, and any file
  /// that the command would write. demo replaces its own runs without being told to.
  OutputDirectory(std::filesystem::path path, std::string command, Earlier earlier,
                  Guard guard = Guard::kLock);
  ~OutputDirectory();
  OutputDirectory(OutputDirectory&&) noexcept;
  OutputDirectory& operator=(OutputDirectory&&) noexcept;

  const std::filesystem::path& path() const;

  /// Whether the command left something here that it would continue.
  bool continues() const;

  /// One line to tell the user where the file system has no locks; empty otherwise.
  std::string note() const;

  /// To be called once all inputs are read and found good, before the first result: removes what
  /// is to be replaced, but none of the `inputs`, and notes the command in crosstate.json.
  void begin(const std::vector<std::filesystem::path>& inputs = {});

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::pipeline
