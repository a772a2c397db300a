// Largest magnitudes that sums of an integer network can reach for any input, as exact integers,
// and the resulting guarantee of docs/arithmetic.md that all values fit in 64 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "crosstate/data/dataset.h"
#include "crosstate/integer/network.h"

namespace crosstate::integer {

/// The largest magnitude of a code.
std::int64_t magnitude(const CodeFormat& format);
/// Bound on the sum weight x + bias for |x| <= input.
std::int64_t row_bound(const IntegerMatrix& matrix, std::size_t row, std::int64_t input);
/// Bound on the output of the recurrence of channel s of a block: sum (|C.real| + |C.imaginary|) L.
std::int64_t output_bound(const IntegerNetwork& network, const IntegerBlock& block, std::size_t s);
/// Bound on the value added to channel h of the residual stream after a block.
std::int64_t branch_bound(const IntegerNetwork& network, const IntegerBlock& block, std::size_t h);

/// Whether bounds on |p| and |q| guarantee that all intermediate values of a row of a requantizer
/// fit in 64 bits.
bool fits_64_bits(const Requantizer& requantizer, std::size_t row, std::int64_t p, std::int64_t q);

/// The largest number of steps of a sequence for which scores fit in 64 bits; 0: not even one.
std::int64_t longest_sequence(const IntegerNetwork& network);
/// log2 of the largest number of steps whose sums become scores without a preceding shift:
/// IntegerNetwork::score_steps of an otherwise complete network.
int whole_score_steps(const IntegerNetwork& network);

/// Throws Error unless the scale of a code and its inverse are normal binary32 numbers.
void require_scale(double scale, const std::string& where);
/// Throws Error naming the tensor and the value because of which a sum does not fit in 64 bits.
void require_64_bits(const IntegerNetwork& network, const std::string& where);
/// Throws Error unless `steps` is at most longest_sequence(). `where` names the network, `data` the
/// sequence.
void require_length(const IntegerNetwork& network, std::size_t steps, const std::string& where,
                    const std::string& data);
void require_length(const IntegerNetwork& network, const data::Dataset& set,
                    const std::string& where);
/// The same for one step more than `steps`, for a sequence that grows.
void require_room(std::int64_t steps, std::int64_t longest);

}  // namespace crosstate::integer
