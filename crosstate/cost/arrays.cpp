#include "crosstate/cost/arrays.h"

#include <algorithm>

#include "crosstate/base/error.h"
#include "crosstate/cost/converters.h"

namespace crosstate::cost {
namespace {

constexpr int kFewestLines = 3;  // as crossbar.rows

void require_size(const char* key, int lines) {
  if (lines == 0 || lines >= kFewestLines) return;
  fail("options", std::string(key) + " = " + std::to_string(lines) + ", expected 0 or at least " +
                      std::to_string(kFewestLines));
}

// Typically times `factor`; one end of the range is multiplied by `other` where that is further
// away.
Range scaled(const Range& range, double factor, double other) {
  return {range.low * std::min(factor, other), range.typical * factor,
          range.high * std::max(factor, other)};
}

void resize(Technology& t, int rows, int columns) {
  const double wider = static_cast<double>(columns) / t.columns;
  const double pairs = wider * rows / t.rows;
  const auto value = [&](const char* name) -> Range& { return t.constants.at(name).value; };
  const bool apart = t["convert_area"].high > 0;
  value("array_area") = scaled(value("array_area"), apart ? pairs : wider, pairs);
  for (const char* name : {"array_active", "array_idle", "digital_area"}) {
    value(name) = scaled(value(name), wider, 1);
  }
  Range& shared = value("columns_per_converter");
  const double most = columns;
  shared = {std::min(shared.low, most), std::min(shared.typical, most),
            std::min(shared.high, most)};
  t.rows = rows;
  t.columns = columns;
  t.summary += ", with arrays of " + std::to_string(rows) + " x " + std::to_string(columns);
}

// `more` bits than the converters of the technology have.
void resize_converters(Technology& t, int more) {
  Range& area = t.constants.at("convert_area").value;
  const Range all = to_bits(area, t["convert_bit_factor"], more);
  area = {std::min(area.low, all.low), all.typical, std::max(area.high, all.high)};
}

}  // namespace

Technology with_arrays(const Technology& crossbar, const EstimateOptions& options) {
  if (crossbar.kind != TargetKind::kCrossbar) {
    fail(crossbar.name, "is of kind " + name_of(crossbar.kind) + ", which has no arrays");
  }
  require_size("cost.rows", options.rows);
  require_size("cost.columns", options.columns);
  Technology t = with_converter(crossbar, options.converter);
  const int rows = options.rows > 0 ? options.rows : t.rows;
  const int columns = options.columns > 0 ? options.columns : t.columns;
  if (rows != t.rows || columns != t.columns) resize(t, rows, columns);
  if (options.converter_bits > 0) {
    const int bits = options.converter == ConverterType::kTarget
                         ? t.output_bits
                         : find_converter(options.converter).bits;
    resize_converters(t, options.converter_bits - bits);
  }
  return t;
}

}  // namespace crosstate::cost
