// A lock file that one process at a time holds, on file systems with and without locks.
#pragma once

#include <sys/file.h>

#include <filesystem>
#include <string>

namespace crosstate {

/// Holds the file from construction to destruction; a process that is killed releases it. If
/// flock() is not supported, a second file, NAME.owner, records the process and host that hold it;
/// an owner file of a process on this host that has ended is ignored. Throws Error (with `where`)
/// if another process, or another object of this one, holds the file.
class FileLock {
 public:
  using Flock = int (*)(int, int);  // the signature of flock(); tests replace it
  FileLock(std::filesystem::path path, const std::string& where, Flock flock = &::flock);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  /// A warning for the user if the file system has no locks; else empty.
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
