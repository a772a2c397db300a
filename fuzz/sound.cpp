// WAV and FLAC recordings. Their reader needs a file, so each input is a named file in memory.
#include <sys/mman.h>
#include <unistd.h>

#include "crosstate/data/audio.h"
#include "fuzz/target.h"

namespace {

class MemoryFile {
 public:
  explicit MemoryFile(const std::string& bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    crosstate::fuzz::require(written == static_cast<ssize_t>(bytes.size()), "a file in memory");
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace

void crosstate::fuzz::read(const std::string& bytes) {
  const MemoryFile file(bytes);
  const data::Sound sound = data::read_sound(file.path(), 60);
  require(!sound.samples.empty() && sound.sample_rate > 0, "samples at a rate");
}
