// Matrices as CSV files.
#include "crosstate/formats/matrix.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const formats::Matrix matrix = formats::parse_csv(bytes, "fuzz.csv");
  require(matrix.rows * matrix.columns == matrix.values.size(), "a full matrix");
  const formats::Matrix again = formats::parse_csv(formats::format_csv(matrix), "written.csv");
  require(again.rows == matrix.rows && again.values == matrix.values, "a file that reads back");
}
