// The largest magnitudes that sums of an integer network can reach, whatever its input, as exact
// integers, and what docs/arithmetic.md promises on their grounds: that 64 bits hold
// everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "crosstate/data/dataset.h"
#include "crosstate/integer/network.h"

namespace crosstate::integer {

/// The largest magnitude of a code.
std::int64_t magnitude(const CodeFormat& format);
/// Of sum weight x + bias, |x| <= input.
std::int64_t row_bound(const IntegerMatrix& matrix, std::size_t row, std::int64_t input);
/// Of the recurrence's output of channel s of a block: sum (|C.real| + |C.imaginary|) L.
std::int64_t output_bound(const IntegerNetwork& network, const IntegerBlock& block, std::size_t s);
/// Of what joins channel h of the stream behind a block.
std::int64_t branch_bound(const IntegerNetwork& network, const IntegerBlock& block, std::size_t h);

/// Whether |p| and |q| up to these bounds keep everything that a row of a requantizer computes
/// within 64 bits.
bool fits_64_bits(const Requantizer& requantizer, std::size_t row, std::int64_t p, std::int64_t q);

/// How many steps a sequence may have so that its scores fit 64 bits. 0: not even one.
std::int64_t longest_sequence(const IntegerNetwork& network);
/// The most steps, as a power of two, whose sums become scores as they are:
/// IntegerNetwork::score_steps of a network that is otherwise complete.
int whole_score_steps(const IntegerNetwork& network);

/// Throws Error unless a code's scale and its inverse are normal numbers of binary32.
void require_scale(double scale, const std::string& where);
/// Throws Error naming the tensor and the value by which a sum needs more than 64 bits.
void require_64_bits(const IntegerNetwork& network, const std::string& where);
/// Throws Error unless sequences of `steps` steps are no longer than longest_sequence(). `where`:
/// of the network; `data`: what is so long.
void require_length(const IntegerNetwork& network, std::size_t steps, const std::string& where,
                    const std::string& data);
void require_length(const IntegerNetwork& network, const data::Dataset& set,
                    const std::string& where);
/// The same of one step more than `steps`, for a sequence that grows.
void require_room(std::int64_t steps, std::int64_t longest);

}  // namespace crosstate::integer
