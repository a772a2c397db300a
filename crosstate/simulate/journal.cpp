#include "crosstate/simulate/journal.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/format.h"
#include "crosstate/base/identity.h"
#include "crosstate/base/json.h"

namespace crosstate::simulate {

using nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Sums = SimulateJournal::Sums;

constexpr FileFormat kFormat("crosstate simulation", 1);

json line_of(int chip, std::size_t age, const Sums& sums) {
  return {{"chip", chip}, {"age", age}, {"sums", sums}};
}

json line_of(int chip, std::size_t age, std::size_t first, std::size_t last, const Sums& sums) {
  return {{"chip", chip}, {"age", age}, {"first", first}, {"last", last}, {"sums", sums}};
}

// Removes the format from the first line; files of the first version have none.
void require_format(json& entry, const std::string& where) {
  const auto format = entry.find("format");
  if (format == entry.end()) return;
  kFormat.version_of(format->is_string() ? format->get<std::string>() : exact_json_text(*format),
                     where);
  entry.erase(format);
}

bool has_sums(const json& entry) {
  return entry.contains("sums") && entry.at("sums").is_array() &&
         std::all_of(entry.at("sums").begin(), entry.at("sums").end(),
                     [](const json& value) { return value.is_number(); });
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
  // Rewritten, so that no partial line remains in the middle.
  json head = identity;
  head["format"] = kFormat.text();
  std::string text = exact_json_text(head) + '\n';
  for (const auto& [at, sums] : known_) {
    text += exact_json_text(line_of(at.first, at.second, sums)) + '\n';
  }
  for (const auto& [at, sums] : chunks_) {
    const auto& [chip, age, first, last] = at;
    if (known_.contains({chip, age})) continue;
    text += exact_json_text(line_of(chip, age, first, last, sums)) + '\n';
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
    json entry = try_parse_json(line);
    if (entry.is_discarded() && !whole) return;
    const std::string where = path_.string() + ", line " + std::to_string(number);
    if (entry.is_discarded() || !entry.is_object()) fail(where, "not JSON, expected an object");
    if (number == 1) {
      require_format(entry, where);
      require_same(entry, identity, where);
      continue;
    }
    if (!has_numbers(entry, {"chip", "age"}) || !has_sums(entry)) {
      fail(where, "expected chip, age and sums, or chip, age, first, last and sums");
    }
    const Sums sums = entry["sums"].get<Sums>();
    if (has_numbers(entry, {"first", "last"})) {
      chunks_[{entry["chip"], entry["age"], entry["first"], entry["last"]}] = sums;
    } else {
      known_[{entry["chip"].get<int>(), entry["age"].get<std::size_t>()}] = sums;
    }
  }
}

std::optional<Sums> SimulateJournal::find(int chip, std::size_t age) const {
  const auto found = known_.find({chip, age});
  if (found == known_.end()) return std::nullopt;
  return found->second;
}

void SimulateJournal::add(int chip, std::size_t age, const Sums& sums) {
  known_[{chip, age}] = sums;
  write_line(line_of(chip, age, sums));
}

std::optional<Sums> SimulateJournal::find_chunk(int chip, std::size_t age, std::size_t first,
                                                std::size_t last) const {
  const auto found = chunks_.find({chip, age, first, last});
  if (found == chunks_.end()) return std::nullopt;
  return found->second;
}

void SimulateJournal::add_chunk(int chip, std::size_t age, std::size_t first, std::size_t last,
                                const Sums& sums) {
  chunks_[{chip, age, first, last}] = sums;
  write_line(line_of(chip, age, first, last, sums));
}

void SimulateJournal::write_line(const json& entry) {
  out_ << exact_json_text(entry) << '\n' << std::flush;
  if (!out_) fail(path_.string(), "cannot write");
}

}  // namespace crosstate::simulate
