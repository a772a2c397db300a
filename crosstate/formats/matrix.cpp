#include "crosstate/formats/matrix.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/format.h"
#include "crosstate/base/numbers.h"

namespace crosstate::formats {
namespace {

constexpr FileFormat kFormat("crosstate matrix", 1);

double parse_value(std::string_view text, const std::string& where, std::size_t line,
                   std::size_t column) {
  const ReadNumber<double> number = read_number<double>(text);
  const bool overload = number.value && is_overload(*number.value);
  if (number.value && !overload) return *number.value;
  fail(where + ':' + std::to_string(line),
       "column " + std::to_string(column) + ": \"" + excerpt(without_blanks(text), 40) + "\" " +
           (overload ? "marks an overload of an instrument" : std::string(number.wrong)) +
           ", expected a finite number");
}

std::size_t append_line(std::string_view line, const std::string& where, std::size_t number,
                        std::vector<double>& values) {
  std::size_t column = 1;
  for (;; ++column) {
    const std::size_t comma = line.find(',');
    values.push_back(parse_value(line.substr(0, comma), where, number, column));
    if (comma == std::string_view::npos) return column;
    line.remove_prefix(comma + 1);
  }
}

}  // namespace

Matrix parse_csv(std::string_view text, const std::string& where) {
  text = without_byte_order_mark(text, where);
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  if (last == std::string_view::npos) fail(where, "is empty, expected lines of numbers");
  text = text.substr(0, last + 1);
  std::size_t first = 1;
  const std::size_t end_of_first = std::min(text.find('\n'), text.size());
  const std::string_view comment = without_blanks(text.substr(1, end_of_first - 1));
  if (text.starts_with('#') && kFormat.find(comment)) {
    kFormat.version_of(comment, where + ":1");
    const std::size_t end = end_of_first;
    if (end == text.size()) fail(where, "has no lines of numbers");
    text.remove_prefix(end + 1);
    first = 2;
  }
  Matrix matrix;
  for (std::size_t number = first;; ++number) {
    const std::size_t end = text.find('\n');
    const std::size_t columns = append_line(text.substr(0, end), where, number, matrix.values);
    if (number == first) matrix.columns = columns;
    if (columns != matrix.columns) {
      fail(where + ':' + std::to_string(number), std::to_string(columns) + " values, expected " +
                                                     std::to_string(matrix.columns) +
                                                     " as in line " + std::to_string(first));
    }
    ++matrix.rows;
    if (end == std::string_view::npos) return matrix;
    text.remove_prefix(end + 1);
  }
}

std::string format_csv(const Matrix& matrix) {
  std::string text;
  for (std::size_t k = 0; k < matrix.values.size(); ++k) {
    text += exact_text(matrix.values[k]);
    text += (k + 1) % matrix.columns == 0 ? '\n' : ',';
  }
  return text;
}

void require_matrix_name(const std::filesystem::path& path) {
  if (path.extension() == ".npy") fail(path.string(), "is a .npy file, expected .npz or .csv");
}

Matrix read_matrix(const std::filesystem::path& path) {
  constexpr std::size_t kMostBytes = std::size_t{1} << 30;
  constexpr std::string_view kNpy = "\x93NUMPY", kZip = "PK\3\4";
  const std::string bytes = read_file(path, kMostBytes);
  require_matrix_name(path);
  if (bytes.starts_with(kNpy)) fail(path.string(), "is a .npy file, expected .npz or .csv");
  if (path.extension() != ".npz") {
    if (bytes.starts_with(kZip)) {
      fail(path.string(), "is a zip archive such as .npz, but its name does not end in .npz");
    }
    return parse_csv(bytes, path.string());
  }
  std::vector<NamedMatrix> matrices = parse_npz(bytes, path.string());
  if (matrices.size() != 1) {
    fail(path.string(),
         "holds " + std::to_string(matrices.size()) + " arrays, expected exactly one");
  }
  Matrix matrix = std::move(matrices[0].second);
  for (std::size_t k = 0; k < matrix.values.size(); ++k) {
    const double value = matrix.values[k];
    if (std::isfinite(value) && !is_overload(value)) continue;
    fail(path.string(), "row " + std::to_string(k / matrix.columns + 1) + ", column " +
                            std::to_string(k % matrix.columns + 1) + ": " + exact_text(value) +
                            (std::isfinite(value) ? " marks an overload of an instrument" : "") +
                            ", expected a finite number");
  }
  return matrix;
}

void write_matrix(const std::filesystem::path& path, const Matrix& matrix) {
  const bool npz = path.extension() == ".npz";
  write_file(path, npz ? format_npz({{"conductance", matrix}}) : format_csv(matrix));
}

}  // namespace crosstate::formats
