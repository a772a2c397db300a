// A file that one process at a time holds, on file systems with locks and on those without.
#pragma once

#include <sys/file.h>

#include <filesystem>
#include <string>

namespace crosstate {

/// Holds the file from construction to destruction; a process that is killed lets go of it. Where
/// flock() is not supported, a second file, NAME.owner, says which process of which host holds it:
/// what a process that no longer lives on this host has left there counts for nothing. Throws Error
/// (with `where`) when another process, or another object of this one, holds the file.
class FileLock {
 public:
  using Flock = int (*)(int, int);  // as flock(); tests have others
  FileLock(std::filesystem::path path, const std::string& where, Flock flock = &::flock);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  /// One line to tell the user where the file system has no locks; empty otherwise.
  const std::string& note() const { return note_; }

 private:
  bool lock_file(const std::string& where, Flock flock);
  void create_owner(const std::string& where);

  std::filesystem::path path_, owner_;
  int file_ = -1;
  bool owns_ = false;  // NAME.owner
  std::string note_;
};

}  // namespace crosstate
