// Matrices as NPZ files.
#include "crosstate/formats/matrix.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const std::vector<formats::NamedMatrix> matrices = formats::parse_npz(bytes, "fuzz.npz");
  for (const auto& [name, matrix] : matrices) {
    require(matrix.rows * matrix.columns == matrix.values.size(), "a full matrix");
  }
  const std::string written = formats::format_npz(matrices);
  require(formats::format_npz(formats::parse_npz(written, "written.npz")) == written,
          "a file that reads back");
}
