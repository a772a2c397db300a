#include "crosstate/simulate/journal.h"

#include <sstream>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"

namespace crosstate {

using nlohmann::json;
namespace fs = std::filesystem;

SimulateJournal::SimulateJournal(const fs::path& path, const json& identity, bool resume)
    : path_(path) {
  std::error_code ignored;
  if (resume && fs::exists(path, ignored)) read(identity);
  // Written anew, so that no half line stays in the middle.
  std::string text = identity.dump() + '\n';
  for (const auto& [at, accuracy] : known_) {
    text += json{{"chip", at.first}, {"age", at.second}, {"accuracy", accuracy}}.dump() + '\n';
  }
  write_file(path, text);
  out_.open(path, std::ios::app);
  if (!out_) fail(path.string(), "cannot write");
}

void SimulateJournal::read(const json& identity) {
  std::istringstream lines(read_file(path_));
  std::string line;
  std::size_t number = 0;
  while (std::getline(lines, line)) {
    ++number;
    const bool whole = !lines.eof();
    const json entry = json::parse(line, nullptr, false);
    if (entry.is_discarded() && !whole) return;
    const std::string where = path_.string() + ", line " + std::to_string(number);
    if (entry.is_discarded() || !entry.is_object()) fail(where, "not JSON, expected an object");
    if (number == 1) {
      for (const auto& [key, value] : identity.items()) {
        if (entry.contains(key) && entry.at(key) == value) continue;
        fail(where, key + " differs from that of this simulation; start without --resume");
      }
      continue;
    }
    if (!entry.contains("chip") || !entry.contains("age") || !entry.contains("accuracy") ||
        !entry["chip"].is_number_integer() || !entry["age"].is_number_unsigned() ||
        !entry["accuracy"].is_number()) {
      fail(where, "expected chip, age and accuracy");
    }
    known_[{entry["chip"].get<int>(), entry["age"].get<std::size_t>()}] = entry["accuracy"];
  }
}

double SimulateJournal::find(int chip, std::size_t age) const {
  const auto found = known_.find({chip, age});
  return found == known_.end() ? -1 : found->second;
}

void SimulateJournal::add(int chip, std::size_t age, double accuracy) {
  known_[{chip, age}] = accuracy;
  out_ << json{{"chip", chip}, {"age", age}, {"accuracy", accuracy}}.dump() << '\n' << std::flush;
  if (!out_) fail(path_.string(), "cannot write");
}

}  // namespace crosstate
