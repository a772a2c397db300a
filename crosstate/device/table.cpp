#include "crosstate/device/table.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string_view>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/format.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/utf8.h"
#include "crosstate/device/model.h"

namespace crosstate::device {
namespace {

constexpr FileFormat kFormat("crosstate device table", 1);
constexpr std::string_view kHeader = "time,target,mean,sigma";
constexpr std::string_view kColumns[] = {"time", "target", "mean", "sigma"};
constexpr double kMostConductance = 1e6;  // uS

struct Record {
  double time = 0, target = 0, mean = 0, deviation = 0;
  std::size_t line = 0;
};

std::string quoted(std::string_view text) { return '"' + excerpt(text, 40) + '"'; }

// Removes and returns the text before the first `separator`; the separator is removed as well.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

double read_value(std::string_view text, double most, std::size_t column,
                  const std::string& where) {
  const ReadNumber<double> number = read_number<double>(text);
  const bool good = number.value && *number.value >= 0 && nearly_within(*number.value, 0, most);
  if (good) return std::min(*number.value, most);
  fail(where + ", column " + std::string(kColumns[column]),
       quoted(without_blanks(text)) +
           (number.wrong.empty() ? std::string() : " " + std::string(number.wrong)) +
           ", expected a number, 0 to " + exact_text(most));
}

Record read_record(std::string_view line, const std::string& where) {
  const auto separators = std::count(line.begin(), line.end(), ',');
  if (separators != 3) {
    fail(where, std::to_string(separators + 1) + " columns, expected 4: " + std::string(kHeader));
  }
  double values[4];
  for (std::size_t column = 0; column < 4; ++column) {
    const double most = column == 0 ? kLongestTime : kMostConductance;
    values[column] = read_value(take(line, ','), most, column, where);
  }
  return {values[0], values[1], values[2], values[3], 0};
}

std::vector<Record> read_records(std::string_view text, const std::string& file) {
  std::vector<Record> records;
  bool has_header = false;
  text = without_byte_order_mark(text, file);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = without_blanks(take(text, '\n'));
    const std::string where = file + ':' + std::to_string(number);
    if (line.empty()) continue;
    if (line.front() == '#') {
      const std::string_view comment = without_blanks(line.substr(1));
      if (!has_header && kFormat.find(comment)) kFormat.version_of(comment, where);
      continue;
    }
    if (!has_header) {
      if (line != kHeader)
        fail(where, "header " + quoted(line) + ", expected " + std::string(kHeader));
      has_header = true;
      continue;
    }
    records.push_back(read_record(line, where));
    records.back().line = number;
  }
  if (!has_header) fail(file, "has no header, expected " + std::string(kHeader));
  if (records.empty()) fail(file, "has only a header, expected rows of " + std::string(kHeader));
  return records;
}

}  // namespace

DeviceTable DeviceTable::parse(const std::string& text, const std::string& file) {
  std::vector<Record> records = read_records(text, file);
  std::stable_sort(records.begin(), records.end(), [](const Record& a, const Record& b) {
    return a.time != b.time ? a.time < b.time : a.target < b.target;
  });
  DeviceTable table;
  table.text_ = as_utf8(text);  // the text is stored in files; comments may have any bytes
  for (const Record& r : records) {
    if (table.times_.empty() || table.times_.back() != r.time) {
      table.times_.push_back(r.time);
      table.rows_.emplace_back();
    } else if (table.rows_.back().back().target == r.target) {
      fail(file + ':' + std::to_string(r.line) + ", column target",
           exact_text(r.target) + " is repeated at time " + exact_text(r.time) +
               ", expected each target once");
    }
    table.rows_.back().push_back({r.target, r.mean, r.deviation});
  }
  table.range_ = {table.rows_.front().front().target, table.rows_.front().back().target};
  for (std::size_t k = 0; k < table.times_.size(); ++k) {
    const std::vector<Row>& rows = table.rows_[k];
    const std::string where = file + ", time " + exact_text(table.times_[k]);
    if (rows.size() < 2) fail(where, "one target, expected at least two");
    // Software that writes binary32 may round an end of the range differently at different times.
    if (!nearly_equal(rows.front().target, table.range_.low) ||
        !nearly_equal(rows.back().target, table.range_.high)) {
      fail(where, "targets from " + exact_text(rows.front().target) + " to " +
                      exact_text(rows.back().target) + ", expected " +
                      exact_text(table.range_.low) + " to " + exact_text(table.range_.high) +
                      " as at the first time");
    }
  }
  return table;
}

DeviceTable DeviceTable::read(const std::string& file) {
  constexpr std::size_t kMostBytes = 1 << 20;
  return parse(read_file(file, kMostBytes), file);
}

Moments DeviceTable::at(std::size_t time, double target) const {
  const std::vector<Row>& rows = rows_[time];
  const auto above =
      std::upper_bound(rows.begin() + 1, rows.end() - 1, target,
                       [](double value, const Row& row) { return value < row.target; });
  const Row &low = *(above - 1), &high = *above;
  const double share = std::clamp((target - low.target) / (high.target - low.target), 0.0, 1.0);
  return {low.mean + share * (high.mean - low.mean),
          low.deviation + share * (high.deviation - low.deviation)};
}

}  // namespace crosstate::device
