// Matrices as CSV files.
#include "crosstate/formats/matrix.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const Matrix matrix = parse_csv(bytes, "fuzz.csv");
  require(matrix.rows * matrix.columns == matrix.values.size(), "a full matrix");
  const Matrix again = parse_csv(format_csv(matrix), "written.csv");
  require(again.rows == matrix.rows && again.values == matrix.values, "a file that reads back");
}
