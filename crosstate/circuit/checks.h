// What every function on an array asks of its arguments.
#pragma once

#include <cstddef>
#include <span>

namespace crosstate {

/// Throws Error unless siemens is [rows][columns], at least 1 x 1, of finite values from 0 on.
void require_array(std::span<const double> siemens, std::size_t rows, std::size_t columns);
/// Throws Error unless there is one finite voltage per row.
void require_voltages(std::span<const double> voltages, std::size_t rows);

}  // namespace crosstate
