#include "crosstate/report/machine.h"

#include <sys/utsname.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "crosstate/base/version.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace crosstate::report {
namespace {

std::string trim(const std::string& text, const char* unwanted = " \t\"") {
  const std::size_t first = text.find_first_not_of(unwanted);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(unwanted) - first + 1);
}

// "key<separator>value" lines; the first of equal keys is used. A missing file reads as empty.
std::map<std::string, std::string> read_pairs(const char* path, char separator) {
  std::map<std::string, std::string> pairs;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t middle = line.find(separator);
    if (middle == std::string::npos) continue;
    pairs.emplace(trim(line.substr(0, middle)), trim(line.substr(middle + 1)));
  }
  return pairs;
}

// The value of the first key that has one.
std::string first_of(const std::map<std::string, std::string>& pairs,
                     std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const auto found = pairs.find(key);
    if (found != pairs.end() && !found->second.empty()) return found->second;
  }
  return "";
}

int usable_cores() {
#ifdef __linux__
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

std::vector<std::string> instruction_sets(const std::string& flags) {
  std::vector<std::string> sets;
  std::istringstream words(flags);
  for (std::string word; words >> word;) {
    if (word == "avx2" || word == "avx512f" || word == "neon") sets.push_back(word);
    if (word == "asimd") sets.push_back("neon");  // 64-bit name of the same instructions
  }
#ifdef __aarch64__
  if (sets.empty()) sets.push_back("neon");  // part of the architecture
#endif
  return sets;
}

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

}  // namespace

nlohmann::json machine_summary() {
  const auto cpu = read_pairs("/proc/cpuinfo", ':');
  const auto release = read_pairs("/etc/os-release", '=');
  utsname kernel{};
  const bool known = uname(&kernel) == 0;

  const std::string cpu_name = first_of(cpu, {"model name", "Model", "Hardware", "cpu model"});
  std::string system = first_of(release, {"PRETTY_NAME", "NAME"});
  if (known) {
    if (!system.empty()) system += ", ";
    system += std::string(kernel.sysname) + " " + kernel.release;
  }
  const auto or_unknown = [](const std::string& text) { return text.empty() ? "unknown" : text; };
  return {{"cpu", or_unknown(cpu_name)},
          {"cores", usable_cores()},
          {"instruction_sets", instruction_sets(first_of(cpu, {"flags", "Features"}))},
          {"system", or_unknown(system)},
          {"architecture", known ? kernel.machine : "unknown"},
          {"compiler", trim(compiler())},
          {"crosstate", kVersion}};
}

}  // namespace crosstate::report
