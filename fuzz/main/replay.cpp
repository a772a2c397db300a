// Reads every file of a corpus once. Fails on any exception except Error, and if no file is
// accepted: samples of an outdated format would test little.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <vector>

#include "crosstate/base/files.h"
#include "fuzz/target.h"

namespace {

namespace fs = std::filesystem;

// Sanitizers reserve far more address space than they use.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitsMemory = false;
#else
constexpr bool kLimitsMemory = true;
#endif

// The same limit as in scripts/fuzz: a file of a few kB must not allocate gigabytes.
void limit_memory() {
  const rlimit limit{rlim_t{1} << 30, rlim_t{1} << 30};
  if (kLimitsMemory) setrlimit(RLIMIT_DATA, &limit);
}

std::vector<fs::path> files_of(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
    return 2;
  }
  limit_memory();
  int accepted = 0, failed = 0;
  for (const fs::path& file : files_of(argv[1])) {
    std::printf("%s\n", file.filename().c_str());
    std::fflush(stdout);  // if reading ends the process, its name has been printed
    try {
      // Not read_file(), which would decompress files that must be read compressed.
      std::string bytes(fs::file_size(file), '\0');
      std::FILE* stream = std::fopen(file.c_str(), "rb");
      const std::size_t got = stream ? std::fread(bytes.data(), 1, bytes.size(), stream) : 0;
      if (stream) std::fclose(stream);
      crosstate::fuzz::require(got == bytes.size(), "a readable corpus");
      accepted += crosstate::fuzz::accepts(bytes);
    } catch (const std::exception& error) {
      std::printf("  %s\n", error.what());
      ++failed;
    }
  }
  std::printf("%d accepted, %d failed\n", accepted, failed);
  return accepted > 0 && failed == 0 ? 0 : 1;
}
