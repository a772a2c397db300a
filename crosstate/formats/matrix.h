// Conductance maps and other matrices as files: CSV, and NPZ for NumPy.
#pragma once

#include <cstddef>
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

/// A matrix and its name within a file.
using NamedMatrix = std::pair<std::string, Matrix>;

/// Reads one line per row with numbers (base/numbers.h) between commas, no header but the line
/// "# crosstate matrix 1", which may come first; a byte order
/// mark, spaces and tabs around a number, CRLF and empty lines at the end are allowed. Throws Error
/// with `where`, line and column for what is not a finite number or an instrument's sign of an
/// overload, for lines of different lengths, for another version and for no line at all.
Matrix parse_csv(std::string_view text, const std::string& where);
/// The same format; numbers read back as the same bits.
std::string format_csv(const Matrix& matrix);

/// An NPZ file, as numpy.load() reads it: a zip archive of uncompressed NAME.npy, float64 in C
/// order.
std::string format_npz(const std::vector<NamedMatrix>& matrices);
/// The two-dimensional arrays of such a file, stored or deflated, float32 or float64, in either
/// order; a vector is one column. Throws Error naming `where` and the array for everything else and
/// for damage.
std::vector<NamedMatrix> parse_npz(std::string_view bytes, const std::string& where);

/// Every array of an NPZ file, also of integers and truth values, of one or more dimensions;
/// those of three or more in C order. Throws Error as parse_npz() does.
std::vector<std::pair<std::string, NumberArray>> parse_npz_numbers(std::string_view bytes,
                                                                   const std::string& where);

/// Throws Error for the name of a file that is neither NPZ nor CSV but .npy.
void require_matrix_name(const std::filesystem::path& path);
/// Reads a matrix from a .npz file of one array, or a CSV file; at most 1 GiB. The values of both
/// are checked as by parse_csv().
Matrix read_matrix(const std::filesystem::path& path);
/// Writes NPZ (array "conductance") where the name ends in .npz, and CSV elsewhere.
void write_matrix(const std::filesystem::path& path, const Matrix& matrix);

}  // namespace crosstate::formats
