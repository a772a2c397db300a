// Break-even fan-in: above how many rows a column of an array takes less energy than the products
// of a digital accelerator at the same node.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "crosstate/base/options.h"
#include "crosstate/cost/options.h"
#include "crosstate/cost/technology.h"

namespace crosstate::cost {

struct FanInOptions {
  int weight_bits = 8, input_bits = 8, output_bits = 8;
  double mean_weight = 0.25;  // |weight| relative to the largest
  int rows = 64;              // for which the energy of a column is computed that breaks even
  WeightMemory weights = WeightMemory::kSram;  // of the digital accelerator: sram | nonvolatile
};
/// Binds the fields of section "fan_in".
void fields(FieldList& list, FanInOptions& options);

/// Energies in pJ of one output of a matrix.
struct FanIn {
  /// Of a column of an array, whatever its rows: conversions, their digital sums and the column's
  /// share of `array_active` if all columns are used, less the requantization that a digital sum
  /// needs.
  Range column;
  /// Of one product on the array (cells, and its share of the driver of its row), and of one
  /// digital product: multiplication, addition, the weight from memory, clock and control.
  Range product, digital;
  /// column / (digital - product), 0 if the column takes nothing; infinite: no number of rows is
  /// enough. low has the constants of the array at their best and the digital ones at their worst.
  Range rows;
  /// What `column` may be for FanInOptions::rows rows to break even. A column that takes less than
  /// `low` wins with that many rows whatever the other constants; none can if this is 0.
  Range budget;
  int conversions = 1;  // of an output: slices of the weight times slices of the input
};

/// `digital`: an accelerator, usually same_node(). Weights and inputs wider than a pair or a driver
/// take several conversions. Inputs are read from memory by both, and not counted. Throws Error if
/// a target is of another kind.
FanIn break_even_fan_in(const Technology& crossbar, const Technology& digital,
                        const FanInOptions& options = {});

/// {"column_pj", "product_pj", "digital_pj", "rows", "budget_pj"}, each a range, and "conversions";
/// null: no number of rows.
nlohmann::json to_json(const FanIn& fan_in);

}  // namespace crosstate::cost
