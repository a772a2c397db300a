#include "crosstate/base/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;

// The number behind `key` in a file with one key and number per line.
std::optional<double> number_of(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  double value = 0;
  while (file >> word) {
    if (word == key && file >> value) return value;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// What the control group in `directory` leaves; nullopt without a limit. Its cache of files can be
// given back, so only anonymous memory counts.
std::optional<double> left_in_group(const fs::path& directory) {
  std::ifstream file(directory / "memory.max");
  double most = 0;
  if (!(file >> most)) return std::nullopt;  // also for "max"
  return std::max(0.0, most - number_of(directory / "memory.stat", "anon").value_or(0));
}

std::string gigabytes(double bytes) { return rounded_text(bytes / 1e9, 3) + " GB"; }

}  // namespace

std::optional<double> available_memory(const fs::path& root) {
  constexpr double kKilobyte = 1024;
  const std::optional<double> free = number_of(root / "proc/meminfo", "MemAvailable:");
  if (!free) return std::nullopt;
  double least = *free * kKilobyte;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;
    const fs::path top = root / "sys/fs/cgroup";
    for (fs::path group = line.substr(4);; group = group.parent_path()) {
      if (const auto left = left_in_group(top / group)) least = std::min(least, *left);
      if (group.empty()) break;
    }
  }
  return least;
}

void require_memory(const std::string& source, double bytes, const std::string& purpose,
                    const std::string& remedy) {
  const std::optional<double> available = available_memory();
  if (!available || bytes <= *available) return;
  fail(source, purpose + " needs " + gigabytes(bytes) + " of memory, but " + gigabytes(*available) +
                   " are available" + remedy);
}

}  // namespace crosstate
