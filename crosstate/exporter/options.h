// Options of an export.
#pragma once

#include <array>
#include <string>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"

namespace crosstate::exporter {

enum class ExportFormat { kC, kNpz };
constexpr auto enum_names(ExportFormat) {
  return std::array{Named{"c", ExportFormat::kC}, Named{"npz", ExportFormat::kNpz}};
}

struct ExportOptions {
  ExportFormat format = ExportFormat::kC;  // c | npz
  std::string name;                        // prefix of all names; empty: from the name of the model
  double unit = 0;      // real value of one unit of the sensor's integers; 0: see unit_of()
  int sequences = 100;  // of the golden vectors
  int steps = 64;       // of each of them
};

/// Binds the fields of section "export".
void fields(FieldList& list, ExportOptions& options);
/// Throws Error for a name that cannot begin names of C functions.
void validate(const ExportOptions& options);

}  // namespace crosstate::exporter
