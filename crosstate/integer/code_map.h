// The input quantizer of a network for a sensor of integers, as one multiplication and a shift.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "crosstate/integer/network.h"

namespace crosstate::integer {

/// code = (value factor + bias) >> shift, saturated to the codes of the format.
struct CodeMap {
  std::int32_t factor = 1;  // 1 .. 2^30
  std::int64_t bias = 0;
  std::int32_t shift = 0;  // 0 .. 40

  std::int32_t operator()(std::int32_t value, const CodeFormat& format) const;
};

/// The map that equals `code_of` for every value from `low` to `high`, both within +-2^23; none if
/// no factor and bias do. `code_of` does not decrease and returns codes of the format.
///
/// The input quantizer is defined in binary32, where the product with a scale that is not a power
/// of two is rounded. Values next to a tie may then fall on the other side of it than in exact
/// arithmetic, so factor and bias are chosen between the bounds that all steps of `code_of` set.
std::optional<CodeMap> fit_code_map(std::int32_t low, std::int32_t high, const CodeFormat& format,
                                    const std::function<std::int32_t(std::int32_t)>& code_of);

}  // namespace crosstate::integer
