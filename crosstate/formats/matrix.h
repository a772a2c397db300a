// Conductance maps and other matrices as files: CSV, and NPZ for NumPy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crosstate::formats {

/// values: [rows][columns].
struct Matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<double> values;
};

/// An array of any number of dimensions, in C order.
struct NumberArray {
  std::vector<std::size_t> shape;
  std::vector<double> values;
};

/// A matrix with its name in a file.
using NamedMatrix = std::pair<std::string, Matrix>;

/// Reads one line per row with numbers (base/numbers.h) separated by commas. There is no header
/// except the optional first line "# crosstate matrix 1". A byte order mark, spaces and tabs around
/// a number, CRLF and empty lines at the end are allowed. Throws Error with `where`, line and
/// column for values that are not finite numbers or mark an overload of an instrument, for lines of
/// different lengths, for another version and for text without lines.
Matrix parse_csv(std::string_view text, const std::string& where);
/// Writes the same format; numbers read back as the same bits.
std::string format_csv(const Matrix& matrix);

/// An array of an NPZ file in C order, with the name of its type in NumPy ("<i2") and its bytes.
struct NpzArray {
  std::string name, type;
  std::vector<std::size_t> shape;
  std::string bytes;

  /// Of the smallest signed type that holds all values.
  static NpzArray integers(std::string name, std::vector<std::size_t> shape,
                           const std::vector<std::int64_t>& values);
  /// A text as an array without dimensions, of bytes.
  static NpzArray text(std::string name, std::string text);
};
/// Writes an uncompressed NPZ file. Throws Error for 3.5 GiB or more.
std::string format_npz_arrays(const std::vector<NpzArray>& arrays);

/// Writes an NPZ file for numpy.load(): a zip archive of uncompressed NAME.npy, float64 in C order.
std::string format_npz(const std::vector<NamedMatrix>& matrices);
/// Reads the two-dimensional arrays of such a file, stored or deflated, float32 or float64, in C or
/// Fortran order; a vector is one column. Throws Error naming `where` and the array for other
/// contents and for damaged files.
std::vector<NamedMatrix> parse_npz(std::string_view bytes, const std::string& where);

/// Reads every array of an NPZ file, including integers and booleans, of one or more dimensions;
/// those of three or more must be in C order. Throws Error as parse_npz() does.
std::vector<std::pair<std::string, NumberArray>> parse_npz_numbers(std::string_view bytes,
                                                                   const std::string& where);

/// Throws Error for a file name that ends in .npy instead of .npz or .csv.
void require_matrix_name(const std::filesystem::path& path);
/// Reads a matrix from a .npz file with one array, or from a CSV file, of at most 1 GiB. Values of
/// both are checked as in parse_csv().
Matrix read_matrix(const std::filesystem::path& path);
/// Writes NPZ (array "conductance") if the name ends in .npz, otherwise CSV.
void write_matrix(const std::filesystem::path& path, const Matrix& matrix);

}  // namespace crosstate::formats
