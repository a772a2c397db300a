// Current-voltage law of a cell: linear or polynomial, optionally with a selector in series.
#pragma once

#include "crosstate/base/options.h"

namespace crosstate::circuit {

/// The cell itself carries I = G V + nl2 V^2 + nl3 V^3 for either sign of V, the voltage from word
/// line to bit line. nl2 makes a cell asymmetric. Both terms are the same for every cell, even one
/// with G = 0. A selector in series carries I = I_s sinh(V_s / V_0), and the cell has the remaining
/// voltage.
struct CellLaw {
  double nl2 = 0;                 // A/V^2
  double nl3 = 0;                 // A/V^3
  double selector_current = 0;    // I_s in A; 0: no selector
  double selector_voltage = 0.1;  // V_0 in V

  bool has_selector() const { return selector_current > 0; }
  bool is_linear() const { return nl2 == 0 && nl3 == 0 && !has_selector(); }
};

/// Binds the fields of section "cells".
void fields(FieldList& list, CellLaw& law);
/// Throws Error for a value out of range.
void validate(const CellLaw& law);

/// A current and its derivative with respect to the voltage.
struct CellResponse {
  double current = 0;  // A
  double slope = 0;    // S
};

/// The response of a cell of `siemens` with its selector to `volts` across both.
CellResponse respond(const CellLaw& law, double siemens, double volts);

}  // namespace crosstate::circuit
