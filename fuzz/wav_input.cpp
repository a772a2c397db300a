// WAV as a stream, from a pipe or a terminal.
#include "crosstate/data/wav_input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>

#include "fuzz/target.h"

namespace {

// Closes the file in memory after an Error, too.
struct Descriptor {
  int number;
  ~Descriptor() { close(number); }
};

}  // namespace

void crosstate::fuzz::read(const std::string& bytes) {
  const Descriptor file{memfd_create("fuzz", MFD_CLOEXEC)};
  const ssize_t written = write(file.number, bytes.data(), bytes.size());
  require(written == static_cast<ssize_t>(bytes.size()), "a file in memory");
  lseek(file.number, 0, SEEK_SET);
  Input input(file.number, "fuzz");
  data::WavInput wav(input);
  require(wav.sample_rate() > 0, "a sample rate");
  for (float sample; wav.next(sample);) require(std::isfinite(sample), "finite samples");
}
