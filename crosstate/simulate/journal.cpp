#include "crosstate/simulate/journal.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/identity.h"
#include "crosstate/base/json.h"

namespace crosstate {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

json line_of(int chip, std::size_t age, double accuracy) {
  return {{"chip", chip}, {"age", age}, {"accuracy", accuracy}};
}

json line_of(int chip, std::size_t age, std::size_t first, std::size_t last, std::size_t correct) {
  return {{"chip", chip}, {"age", age}, {"first", first}, {"last", last}, {"correct", correct}};
}

bool has_numbers(const json& entry, std::initializer_list<const char*> keys) {
  return std::all_of(keys.begin(), keys.end(), [&](const char* key) {
    return entry.contains(key) && entry.at(key).is_number_unsigned();
  });
}

}  // namespace

SimulateJournal::SimulateJournal(const fs::path& path, const json& identity, bool resume)
    : path_(path) {
  std::error_code ignored;
  if (resume && fs::exists(path, ignored)) read(identity);
  // Written anew, so that no half line stays in the middle.
  std::string text = exact_json_text(identity) + '\n';
  for (const auto& [at, accuracy] : known_) {
    text += exact_json_text(line_of(at.first, at.second, accuracy)) + '\n';
  }
  for (const auto& [at, correct] : chunks_) {
    const auto& [chip, age, first, last] = at;
    if (known_.contains({chip, age})) continue;
    text += exact_json_text(line_of(chip, age, first, last, correct)) + '\n';
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
    const json entry = try_parse_json(line);
    if (entry.is_discarded() && !whole) return;
    const std::string where = path_.string() + ", line " + std::to_string(number);
    if (entry.is_discarded() || !entry.is_object()) fail(where, "not JSON, expected an object");
    if (number == 1) {
      require_same(entry, identity, where);
      continue;
    }
    if (has_numbers(entry, {"chip", "age", "first", "last", "correct"})) {
      chunks_[{entry["chip"], entry["age"], entry["first"], entry["last"]}] = entry["correct"];
      continue;
    }
    if (!entry.contains("chip") || !entry.contains("age") || !entry.contains("accuracy") ||
        !entry["chip"].is_number_integer() || !entry["age"].is_number_unsigned() ||
        !entry["accuracy"].is_number()) {
      fail(where, "expected chip, age and accuracy, or chip, age, first, last and correct");
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
  write_line(line_of(chip, age, accuracy));
}

std::optional<std::size_t> SimulateJournal::find_chunk(int chip, std::size_t age, std::size_t first,
                                                       std::size_t last) const {
  const auto found = chunks_.find({chip, age, first, last});
  if (found == chunks_.end()) return std::nullopt;
  return found->second;
}

void SimulateJournal::add_chunk(int chip, std::size_t age, std::size_t first, std::size_t last,
                                std::size_t correct) {
  chunks_[{chip, age, first, last}] = correct;
  write_line(line_of(chip, age, first, last, correct));
}

void SimulateJournal::write_line(const json& entry) {
  out_ << exact_json_text(entry) << '\n' << std::flush;
  if (!out_) fail(path_.string(), "cannot write");
}

}  // namespace crosstate
