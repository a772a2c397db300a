// Crossbars of a technology with arrays of other sizes and other converters.
#pragma once

#include "crosstate/cost/options.h"
#include "crosstate/cost/technology.h"

namespace crosstate::cost {

/// A crossbar with the arrays that EstimateOptions::rows and columns, the converters that
/// converter and converter_bits describe; 0 and kTarget leave it as it is. Energies of a cell, a
/// driven row and a conversion, and all times, are those of the technology. Of an array follow
/// - the area of the cells: the number of pairs; where it includes the converters, the number of
///   columns, or the pairs at one end of the range;
/// - references, control and registers (array_active, array_idle, digital_area): the columns, or
///   nothing at one end of the range;
/// - the area of a converter that is counted on its own: its energy, by its bits, or nothing at one
///   end of the range.
/// Throws Error for another kind of target, and for arrays of fewer than 3 rows or columns, which
/// hold no complex mode.
Technology with_arrays(const Technology& crossbar, const EstimateOptions& options);

}  // namespace crosstate::cost
