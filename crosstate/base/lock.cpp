#include "crosstate/base/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHeld =
    "another crosstate writes its results there; under mpirun only sweep and search share their "
    "work, in a program built with MPI";

bool is_unsupported(int error) {
  constexpr int kUnsupported[] = {ENOSYS, ENOLCK, EOPNOTSUPP, ENOTSUP};
  return std::find(std::begin(kUnsupported), std::end(kUnsupported), error) !=
         std::end(kUnsupported);
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  std::string host = name;
  std::replace_if(
      host.begin(), host.end(), [](char c) { return c <= ' '; }, '_');
  return host.empty() ? "unknown" : host;
}

// One word, the same until the machine is rebooted.
std::string boot_id() {
  std::istringstream text(text_of("/proc/sys/kernel/random/boot_id"));
  std::string id = "unknown";
  text >> id;
  return id;
}

// Start time of the process in ticks since boot, since process ids may be reused. "0" if the
// process does not exist or its start time is unknown, "ended" if it is a zombie.
std::string start_of(long process) {
  const std::string text = text_of("/proc/" + std::to_string(process) + "/stat");
  const std::size_t name_end = text.rfind(')');  // the name before it may contain anything
  if (name_end == std::string::npos) return "0";
  std::istringstream rest(text.substr(name_end + 1));
  std::string word;
  rest >> word;
  if (word == "Z" || word == "X") return "ended";
  for (int field = 4; field <= 22; ++field) rest >> word;
  return rest ? word : "0";
}

struct Owner {
  std::string host, boot, start;
  long process = 0;
};

Owner this_process() {
  const long process = getpid();
  return {host_name(), boot_id(), start_of(process), process};
}

std::string text_of(const Owner& owner) {
  return owner.host + ' ' + std::to_string(owner.process) + ' ' + owner.boot + ' ' + owner.start +
         '\n';
}

// False for a file that is incomplete or not an owner file.
bool parse(const std::string& text, Owner& owner) {
  std::istringstream words(text);
  return static_cast<bool>(words >> owner.host >> owner.process >> owner.boot >> owner.start) &&
         owner.process > 0 && text.ends_with('\n');
}

// Whether that process is known to have ended.
bool is_gone(const Owner& owner) {
  const Owner here = this_process();
  if (owner.host != here.host) return false;
  if (owner.boot != here.boot) return true;
  if (kill(static_cast<pid_t>(owner.process), 0) != 0 && errno == ESRCH) return true;
  const std::string start = start_of(owner.process);
  return start != "0" && owner.start != "0" && start != owner.start;
}

// Moves the file away and removes it if it still contains `text`: of several processes that find
// the same owner dead, only one removes it, and none removes a file that another has created
// meanwhile.
void remove_stale(const fs::path& path, const std::string& text) {
  static std::atomic<unsigned> serial = 0;
  fs::path away = path;
  away += ".stale-" + std::to_string(getpid()) + '-' + std::to_string(serial++);
  if (rename(path.c_str(), away.c_str()) != 0) return;  // another process was faster
  if (text_of(away) != text) {
    [[maybe_unused]] const int back = link(away.c_str(), path.c_str());
  }
  unlink(away.c_str());
}

}  // namespace

FileLock::FileLock(fs::path path, const std::string& where, Flock flock) : path_(std::move(path)) {
  owner_ = path_;
  owner_ += ".owner";
  while (!lock_file(where, flock)) continue;
}

FileLock::~FileLock() {
  // A process that has opened the file meanwhile detects that it was removed, and opens another.
  if (file_ >= 0) {
    unlink(path_.c_str());
    close(file_);
  }
  if (owns_) unlink(owner_.c_str());
}

// False if the file was removed while it was being locked.
bool FileLock::lock_file(const std::string& where, Flock flock) {
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail(path_.string(), std::string("cannot open: ") + std::strerror(errno));
  int code = 0;
  do {
    code = flock(file_, LOCK_EX | LOCK_NB);
  } while (code != 0 && errno == EINTR);
  const int error = code == 0 ? 0 : errno;
  if (error == 0) {
    struct stat held = {}, named = {};
    if (fstat(file_, &held) == 0 && stat(path_.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev) {
      return true;
    }
  }
  close(file_);
  file_ = -1;
  if (error == 0) return false;
  if (error == EWOULDBLOCK) fail(where, kHeld);
  if (!is_unsupported(error)) {
    fail(path_.string(), std::string("cannot lock: ") + std::strerror(error));
  }
  unlink(path_.c_str());  // it cannot be locked by anyone
  create_owner(where);
  note_ = where + ": its file system has no locks (flock: " + std::strerror(error) + "); " +
          owner_.string() + " is used as a lock instead";
  return true;
}

void FileLock::create_owner(const std::string& where) {
  const std::string mine = text_of(this_process());
  for (;;) {
    const int file = open(owner_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) {
      owns_ = true;
      const ssize_t written = write(file, mine.data(), mine.size());
      const int error = errno;
      close(file);
      if (written == static_cast<ssize_t>(mine.size())) return;
      unlink(owner_.c_str());
      owns_ = false;
      fail(owner_.string(), std::string("cannot write: ") + std::strerror(error));
    }
    if (errno != EEXIST) {
      fail(owner_.string(), std::string("cannot create: ") + std::strerror(errno));
    }
    const std::string text = text_of(owner_);
    Owner owner;
    const bool known = parse(text, owner);
    if (known && is_gone(owner)) {
      remove_stale(owner_, text);
      continue;
    }
    if (!known && !fs::exists(owner_)) continue;  // released meanwhile
    const std::string who =
        known ? "process " + std::to_string(owner.process) + " on " + owner.host : "still starting";
    fail(where, "another crosstate (" + who + ") writes its results there; if it is no longer " +
                    "running, remove " + owner_.string());
  }
}

}  // namespace crosstate
