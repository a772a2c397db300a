// The numbers of an integer network for NumPy, with golden vectors.
#pragma once

#include "crosstate/exporter/c_text.h"
#include "crosstate/exporter/options.h"
#include "crosstate/inference/model.h"

namespace crosstate::exporter {

/// NAME.npz with
/// - every tensor of the integer file under its name (docs/arithmetic.md): codes of weights,
/// factors
///   and shifts of requantizers, tables;
/// - "format": JSON as bytes, the metadata `integer` of that file with sizes, code formats and
///   scales;
/// - "golden.codes" [sequences][steps][inputs] and "golden.scores" [sequences][steps][outputs], the
///   scores after every step (golden.h).
/// Throws Error as c_project() does.
SourceFile npz_file(const inference::Model& model, const ExportOptions& options);

}  // namespace crosstate::exporter
