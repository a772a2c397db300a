#include "crosstate/exporter/options.h"

#include "crosstate/exporter/c_text.h"

namespace crosstate::exporter {

void fields(FieldList& list, ExportOptions& options) {
  list.section("export");
  list.add("format", options.format,
           "c: C99 sources with a Makefile, CMakeLists.txt and an Arduino library; npz: numbers, "
           "formats and golden vectors for NumPy");
  list.add("name", options.name,
           "Beginning of the names of all files and functions; empty: from the name of the model");
  list.add("unit", options.unit,
           "Real value of one unit of the sensor's integers, for NAME_code(); 0: 1. Of models of "
           "recordings, the front end makes the codes")
      .range(0, 1e30);
  list.add("sequences", options.sequences, "Random sequences of the golden vectors")
      .range(1, 10000);
  list.add("steps", options.steps, "Time steps of each of these").range(1, 100000);
}

void validate(const ExportOptions& options) {
  if (!options.name.empty()) require_prefix(options.name, "export.name");
}

}  // namespace crosstate::exporter
