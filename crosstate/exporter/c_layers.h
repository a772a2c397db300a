// The layers around the recurrence as C: encoder, pointwise layer with gate and residual sum,
// decoder.
#pragma once

#include <string>

#include "crosstate/exporter/c_writer.h"

namespace crosstate::exporter {

/// encode().
std::string encoder_function(NetworkWriter& writer);
/// mix().
std::string pointwise_function(NetworkWriter& writer);
/// PREFIX_scores() and, for classifiers, PREFIX_class(). Sets NetworkWriter::early_scores.
std::string decoder_functions(NetworkWriter& writer);

}  // namespace crosstate::exporter
