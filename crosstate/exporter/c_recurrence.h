// The state-space models of a block as C: recurrence, output, activation.
#pragma once

#include <string>

#include "crosstate/exporter/c_writer.h"

namespace crosstate::exporter {

/// The functions advance() and recur(). Sets NetworkWriter::at_once.
std::string recurrence_functions(NetworkWriter& writer);

}  // namespace crosstate::exporter
