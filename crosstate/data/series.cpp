#include "crosstate/data/series.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/utf8.h"
#include "crosstate/formats/matrix.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;

fs::path file_of(const fs::path& directory, const std::string& name) {
  std::error_code ignored;
  for (const char* ending : {".npz", ".csv", ".csv.gz"}) {
    if (fs::exists(directory / (name + ending), ignored)) return directory / (name + ending);
  }
  return {};
}

// --- CSV

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  for (;;) {
    const std::size_t comma = line.find(',');
    std::string_view field = without_blanks(line.substr(0, comma));
    if (field.size() >= 2 && field.front() == '"' && field.back() == '"') {
      field = field.substr(1, field.size() - 2);
    }
    fields.push_back(field);
    if (comma == std::string_view::npos) break;
    line.remove_prefix(comma + 1);
  }
  while (!fields.empty() && fields.back().empty()) fields.pop_back();
  return fields;
}

float value_of(std::string_view field, const std::string& where, std::size_t column) {
  const ReadNumber<float> read = read_number<float>(field);
  const bool overload = read.value && is_overload(double{*read.value});
  if (read.value && !overload) return *read.value;
  fail(where, "column " + std::to_string(column) + ": \"" + excerpt(field, 40) + "\" " +
                  (overload ? "marks an overload of an instrument" : std::string(read.wrong)) +
                  ", expected a number");
}

// Reads the header: names of the targets, possibly followed by names of values.
bool is_header(const std::vector<std::string_view>& fields, std::size_t targets) {
  return fields.size() >= targets &&
         std::none_of(fields.begin() + static_cast<std::ptrdiff_t>(targets), fields.end(),
                      [](std::string_view f) { return read_number<float>(f).value.has_value(); });
}

// Lines of targets followed by steps: those of a sequence, or one step.
class CsvReader {
 public:
  CsvReader(const fs::path& path, const DataOptions& options, task::Scope scope)
      : every_step_(scope == task::Scope::kStep),
        width_(static_cast<std::size_t>(options.targets)) {
    part_.where = path.string();
    part_.channels = static_cast<std::size_t>(options.channels);
    part_.targets.width = width_;
  }

  SeriesPart read(const std::string& bytes) {
    std::string_view text = without_byte_order_mark(bytes, part_.where);
    for (std::size_t number = 1; !text.empty(); ++number) {
      const std::size_t end = text.find('\n');
      const std::string_view line = without_blanks(text.substr(0, end));
      const std::vector<std::string_view> fields = fields_of(line);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.empty()) {
        in_sequence_ = false;
      } else if (fields.empty()) {
        fail(part_.where + ':' + std::to_string(number),
             std::string("no value, only separators, expected values or an empty line") +
                 (every_step_ ? ", which ends a sequence" : ""));
      } else if (number == 1 && is_header(fields, width_)) {
        for (std::size_t k = 0; k < width_; ++k) {
          part_.targets.names.push_back(as_utf8(std::string(fields[k])));
        }
      } else {
        add(fields, part_.where + ':' + std::to_string(number));
      }
    }
    return std::move(part_);
  }

 private:
  void add(const std::vector<std::string_view>& fields, const std::string& where) {
    const std::size_t values = fields.size() - std::min(width_, fields.size());
    const bool fits =
        every_step_ ? values == part_.channels : values > 0 && values % part_.channels == 0;
    if (!fits) {
      fail(where, std::to_string(fields.size()) +
                      " fields, expected data.targets = " + std::to_string(width_) +
                      " target values, then " + (every_step_ ? "one step" : "steps") +
                      " of data.channels = " + std::to_string(part_.channels) + " values");
    }
    for (std::size_t k = 0; k < width_; ++k) {
      part_.targets.cells.push_back(as_utf8(std::string(fields[k])));
    }
    part_.targets.where.push_back(where);
    if (!every_step_ || !in_sequence_) part_.sequences.emplace_back();
    in_sequence_ = true;
    std::vector<float>& sequence = part_.sequences.back();
    for (std::size_t k = width_; k < fields.size(); ++k) {
      sequence.push_back(value_of(fields[k], where, k + 1));
    }
  }

  bool every_step_, in_sequence_ = false;
  std::size_t width_;
  SeriesPart part_;
};

// --- NPZ

const formats::NumberArray& array_of(
    const std::vector<std::pair<std::string, formats::NumberArray>>& arrays,
    const std::string& name, const std::string& where) {
  for (const auto& [key, array] : arrays) {
    if (key == name) return array;
  }
  fail(where, "has no array " + name + ", expected x and y");
}

// Checks the shape of y after its first dimension.
std::size_t target_width(const formats::NumberArray& y, std::size_t count, std::size_t steps,
                         bool every_step, const std::string& where) {
  const std::size_t plain = every_step ? 2 : 1;  // dimensions for targets of one value
  const bool fits = (y.shape.size() == plain || y.shape.size() == plain + 1) &&
                    y.shape[0] == count && (!every_step || y.shape[1] == steps);
  if (!fits && every_step) {
    fail(where + ": y", "expected one target for each of the " + std::to_string(steps) +
                            " steps of the " + std::to_string(count) +
                            " sequences of x with model.readout = \"step\"");
  }
  if (!fits) {
    fail(where + ": y",
         "expected one row for each of the " + std::to_string(count) + " sequences of x");
  }
  return y.shape.size() == plain ? 1 : y.shape.back();
}

SeriesPart read_npz(const fs::path& path, task::Scope scope) {
  SeriesPart part;
  part.where = path.string();
  const auto arrays = formats::parse_npz_numbers(read_file(path), part.where);
  const formats::NumberArray& x = array_of(arrays, "x", part.where);
  const formats::NumberArray& y = array_of(arrays, "y", part.where);
  if (x.shape.size() < 2 || x.shape.size() > 3) {
    fail(part.where + ": x",
         std::to_string(x.shape.size()) + " dimensions, expected sequences, steps and channels");
  }
  const std::size_t count = x.shape[0], steps = x.shape[1];
  part.channels = x.shape.size() == 3 ? x.shape[2] : 1;
  const bool every_step = scope == task::Scope::kStep;
  const std::size_t width = part.targets.width =
      target_width(y, count, steps, every_step, part.where);
  const auto lengths = std::find_if(arrays.begin(), arrays.end(),
                                    [](const auto& a) { return a.first == "lengths"; });
  if (lengths != arrays.end() && lengths->second.values.size() != count) {
    fail(part.where + ": lengths", std::to_string(lengths->second.values.size()) +
                                       " values, expected " + std::to_string(count));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::string where = part.where + ": row " + std::to_string(i);
    std::size_t length = steps;
    if (lengths != arrays.end()) {
      const double told = lengths->second.values[i];
      if (!(told >= 1 && told <= static_cast<double>(steps))) {
        fail(where, "length " + exact_text(told) + ", expected 1 to " + std::to_string(steps));
      }
      length = static_cast<std::size_t>(told);
    }
    const double* from = x.values.data() + i * steps * part.channels;
    std::vector<float>& sequence = part.sequences.emplace_back();
    for (std::size_t k = 0; k < length * part.channels; ++k) {
      const auto value = static_cast<float>(from[k]);
      if (!std::isfinite(value)) {
        fail(where, "x is " + exact_text(from[k]) + " at step " +
                        std::to_string(k / part.channels) + ", expected a finite number");
      }
      sequence.push_back(value);
    }
    const double* targets = y.values.data() + i * (every_step ? steps : 1) * width;
    for (std::size_t t = 0; t < (every_step ? length : 1); ++t) {
      for (std::size_t k = 0; k < width; ++k) {
        const double target = targets[t * width + k];
        if (std::isinf(target) || (std::isnan(target) && !every_step)) {
          fail(where, "y is " + exact_text(target) +
                          (every_step ? " at step " + std::to_string(t) +
                                            ", expected a finite number, or NaN for a step without "
                                            "a target"
                                      : ", expected a finite number"));
        }
        part.targets.cells.push_back(exact_text(target));
      }
      part.targets.where.push_back(every_step ? where + ", step " + std::to_string(t) : where);
    }
  }
  return part;
}

SeriesPart read_part(const fs::path& directory, const std::string& name, const DataOptions& options,
                     task::Scope scope) {
  const fs::path path = file_of(directory, name);
  if (path.empty()) {
    fail(directory.string(), "found neither " + name + ".csv nor " + name + ".npz");
  }
  SeriesPart part = path.extension() == ".npz"
                        ? read_npz(path, scope)
                        : CsvReader(path, options, scope).read(read_file(path));
  if (part.sequences.empty()) fail(part.where, "no sequences, expected at least one");
  return part;
}

Dataset dataset_of(SeriesPart part, std::string name) {
  Dataset set;
  set.name = std::move(name);
  set.count = part.sequences.size();
  set.channels = part.channels;
  bool equal = true;
  for (const std::vector<float>& sequence : part.sequences) {
    const std::size_t steps = sequence.size() / part.channels;
    set.lengths.push_back(static_cast<std::uint32_t>(steps));
    equal = equal && steps == set.lengths.front();
    set.length = std::max(set.length, steps);
  }
  for (std::vector<float>& sequence : part.sequences) {
    sequence.resize(set.length * set.channels, 0);
    set.values.insert(set.values.end(), sequence.begin(), sequence.end());
    sequence = {};
  }
  if (equal) set.lengths.clear();
  return set;
}

// Keeps only the rows of steps with a target in the table of a part. Returns whether each step has
// one.
std::vector<char> keep_counted(const task::Task& task, SeriesPart& part) {
  task::TargetTable& table = part.targets;
  std::vector<char> counted;
  task::TargetTable kept;
  for (std::size_t i = 0; i < table.where.size(); ++i) {
    const auto row = std::span(table.cells).subspan(i * table.width, table.width);
    const auto missing = static_cast<std::size_t>(std::count_if(
        row.begin(), row.end(), [&](const std::string& cell) { return task.not_counted(cell); }));
    if (missing != 0 && missing != table.width) {
      fail(table.where[i], "has " + std::to_string(table.width - missing) + " of " +
                               std::to_string(table.width) + " targets, expected all or none");
    }
    counted.push_back(missing == 0 ? 1 : 0);
    if (missing != 0) continue;
    kept.cells.insert(kept.cells.end(), row.begin(), row.end());
    kept.where.push_back(table.where[i]);
  }
  if (kept.where.empty()) fail(part.where, "no step has a target, expected at least one");
  table.cells = std::move(kept.cells);
  table.where = std::move(kept.where);
  return counted;
}

// Where -1 marks a step without a target, another negative number would silently become a class.
void refuse_negatives_beside_marks(const task::Task& task, const std::vector<SeriesPart>& parts) {
  if (!task.not_counted("-1")) return;
  bool marked = false;
  std::string where, found;
  for (const SeriesPart& part : parts) {
    const task::TargetTable& table = part.targets;
    for (std::size_t i = 0; i < table.cells.size(); ++i) {
      const std::string& cell = table.cells[i];
      if (!without_blanks(cell).starts_with('-')) continue;
      if (task.not_counted(cell)) {
        marked = true;
      } else if (where.empty() && read_number<double>(cell).value) {
        where = table.where[i / table.width];
        found = cell;
      }
    }
  }
  if (!marked || where.empty()) return;
  fail(where, "target " + excerpt(found, 40) +
                  " beside -1, which marks steps without a target, expected classes that are not "
                  "negative");
}

void set_targets(std::span<const float> targets, const std::vector<char>& counted, Dataset& set) {
  if (!set.readout.every_step()) {
    set.targets.assign(targets.begin(), targets.end());
    return;
  }
  const std::size_t width = set.readout.width();
  set.targets.assign(set.count * set.length * width, task::kNotCounted);
  std::size_t row = 0;
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t t = 0; t < set.length_of(i); ++t) {
      if (counted[row++] == 0) continue;
      std::copy_n(targets.begin(), width,
                  set.targets.begin() + static_cast<std::ptrdiff_t>((i * set.length + t) * width));
      targets = targets.subspan(width);
    }
  }
}

}  // namespace

bool holds_series(const fs::path& directory) {
  return !file_of(directory, "train").empty() || !file_of(directory, "test").empty();
}

std::vector<Dataset> make_series(std::vector<SeriesPart> parts,
                                 const std::vector<std::string>& names, const task::Task& task,
                                 task::Scope scope) {
  const SeriesPart& first = parts.front();
  const auto require_equal = [&](const SeriesPart& part, const char* what, std::size_t of_first,
                                 std::size_t of_part) {
    if (of_first == of_part) return;
    fail(part.where, std::to_string(of_part) + ' ' + what + ", but " + first.where + " has " +
                         std::to_string(of_first));
  };
  task::TargetTable all;
  all.width = first.targets.width;
  for (const SeriesPart& part : parts) {
    require_equal(part, "channels", first.channels, part.channels);
    require_equal(part, "target columns", first.targets.width, part.targets.width);
    if (all.names.empty()) {
      all.names = part.targets.names;
    } else if (!part.targets.names.empty() && part.targets.names != all.names) {
      fail(part.where, "has other target columns than " + first.where);
    }
  }
  if (scope == task::Scope::kStep) refuse_negatives_beside_marks(task, parts);
  std::vector<std::vector<char>> counted(parts.size());
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    task::TargetTable& table = parts[i].targets;
    if (scope == task::Scope::kStep) counted[i] = keep_counted(task, parts[i]);
    rows.push_back(table.where.size());
    std::move(table.cells.begin(), table.cells.end(), std::back_inserter(all.cells));
    std::move(table.where.begin(), table.where.end(), std::back_inserter(all.where));
    table = {};
  }
  std::vector<float> targets;
  task::Readout readout = task.read(all, targets);
  readout.scope = scope;

  std::vector<Dataset> sets;
  std::span<const float> rest = targets;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Dataset& set = sets.emplace_back(dataset_of(std::move(parts[i]), names[i]));
    set.readout = readout;
    const std::size_t values = rows[i] * readout.width();
    set_targets(rest.first(values), counted[i], set);
    rest = rest.subspan(values);
    set.validate();
  }
  return sets;
}

TrainTest read_series(const fs::path& directory, const DataOptions& options, const task::Task& task,
                      task::Scope scope) {
  std::vector<SeriesPart> parts;
  parts.push_back(read_part(directory, "train", options, scope));
  parts.push_back(read_part(directory, "test", options, scope));
  const std::string base = as_utf8(fs::weakly_canonical(directory).filename().string());
  std::vector<Dataset> sets =
      make_series(std::move(parts), {base + " train", base + " test"}, task, scope);
  return {std::move(sets.front()), std::move(sets.back())};
}

}  // namespace crosstate::data
