// Matrices as NPZ files.
#include "crosstate/formats/matrix.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const std::vector<NamedMatrix> matrices = parse_npz(bytes, "fuzz.npz");
  for (const auto& [name, matrix] : matrices) {
    require(matrix.rows * matrix.columns == matrix.values.size(), "a full matrix");
  }
  const std::string written = format_npz(matrices);
  require(format_npz(parse_npz(written, "written.npz")) == written, "a file that reads back");
}
