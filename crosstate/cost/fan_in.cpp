#include "crosstate/cost/fan_in.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/rate.h"

namespace crosstate::cost {
namespace {

constexpr int kMostRows = 1 << 20;

// a - b with opposite ends, so that the result covers every combination; not below 0.
Range difference(const Range& a, const Range& b) {
  return {std::max(0.0, a.low - b.high), std::max(0.0, a.typical - b.typical),
          std::max(0.0, a.high - b.low)};
}

double rows(double column, double saved) {
  if (column <= 0) return 0;
  return saved > 0 ? column / saved : std::numeric_limits<double>::infinity();
}

}  // namespace

void fields(FieldList& list, FanInOptions& options) {
  list.section("fan_in");
  list.add("weight_bits", options.weight_bits, "Bits of the weights.").range(1, 16);
  list.add("input_bits", options.input_bits, "Bits of the inputs of rows.").range(1, 16);
  list.add("output_bits", options.output_bits,
           "Bits of a conversion; of slices of weights or inputs, at least those of the target.")
      .range(1, 16);
  list.add("mean_weight", options.mean_weight, "Mean |weight| relative to the largest.")
      .range(0, 1);
  list.add("rows", options.rows,
           "Rows for which the table tells the energy of a column that breaks even.")
      .range(1, kMostRows);
  list.add("weights", options.weights, "Memory of the weights of the digital accelerator.");
}

FanIn break_even_fan_in(const Technology& crossbar, const Technology& digital,
                        const FanInOptions& options) {
  if (crossbar.kind != TargetKind::kCrossbar) {
    fail(crossbar.name, "is of kind " + name_of(crossbar.kind) + ", expected a crossbar");
  }
  if (digital.kind != TargetKind::kAccelerator) {
    fail(digital.name, "is of kind " + name_of(digital.kind) + ", expected an accelerator");
  }
  // Column and rows of an array product, on one column and one row.
  ArrayUse column;
  column.columns = 1;
  column.input_bits = options.input_bits;
  column.output_bits = options.output_bits;
  column.weight_slices = std::max(
      1, (std::max(1, options.weight_bits - 1) + crossbar.cell_bits - 1) / crossbar.cell_bits);
  column.read_bits = column.written_bits = 0;
  ArrayUse row = column;
  row.columns = 0;
  row.rows = 1.0 / crossbar.columns;
  row.cells = 2;
  row.weight = options.mean_weight;
  const auto total = [&](const ArrayUse& use) {
    CostList energy;
    add_array_product(crossbar, use, 0, 1, energy);
    return energy.total(0);
  };
  const Range requantization = (digital["multiply_bit"] * (kMultiplierWidth * kAccumulatorWidth) +
                                digital["add_bit"] * kAccumulatorWidth + digital["control"]) *
                               kPicoPerFemto;
  const char* memory =
      options.weights == WeightMemory::kNonvolatile ? "nonvolatile_bit" : "memory_bit";
  FanIn f;
  f.conversions =
      static_cast<int>(column.weight_slices) * input_slices(crossbar, options.input_bits);
  const Range active = crossbar["array_active"] * slice_time(crossbar) *
                       (f.conversions * kPicoPerFemto / crossbar.columns);  // uW ns = fJ
  f.column = difference(total(column) + active, requantization);
  f.product = total(row);
  f.digital = (digital["multiply_bit"] * (options.weight_bits * options.input_bits) +
               digital["add_bit"] * kAccumulatorWidth + digital[memory] * options.weight_bits +
               digital["control"]) *
              kPicoPerFemto;
  const Range saved = difference(f.digital, f.product);
  f.rows = {rows(f.column.low, saved.high), rows(f.column.typical, saved.typical),
            rows(f.column.high, saved.low)};
  f.budget = saved * options.rows;
  return f;
}

nlohmann::json to_json(const FanIn& f) {
  return {{"column_pj", to_json(f.column)},   {"product_pj", to_json(f.product)},
          {"digital_pj", to_json(f.digital)}, {"rows", open_range_json(f.rows)},
          {"budget_pj", to_json(f.budget)},   {"conversions", f.conversions}};
}

}  // namespace crosstate::cost
