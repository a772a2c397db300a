#include "crosstate/base/random.h"

#include <Random123/philox.h>

#include <cmath>
#include <numbers>

namespace crosstate {

std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint32_t a, std::uint32_t b,
                                    std::uint32_t c, std::uint32_t d) {
  const r123::Philox4x32::ctr_type counter{{a, b, c, d}};
  const r123::Philox4x32::key_type key{
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}};
  const r123::Philox4x32::ctr_type words = r123::Philox4x32()(counter, key);
  return {words[0], words[1], words[2], words[3]};
}

std::uint32_t Random::bits() {
  if (used_ == 4) {
    block_ = philox(seed_, counter_++, part_, item_, stream_);
    used_ = 0;
  }
  return block_[static_cast<std::size_t>(used_++)];
}

double Random::uniform() {
  // The centre of one of 2^32 equal intervals, so never 0 or 1.
  return (bits() + 0.5) * 0x1p-32;
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2 * std::log(uniform()));
  const double angle = 2 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

std::uint32_t Random::below(std::uint32_t bound) {
  // Lemire, "Fast random integer generation in an interval" (2019): the upper half of a product is
  // uniform if the lower halves that would occur too often are rejected.
  const std::uint32_t surplus = -bound % bound;
  std::uint64_t product;
  do {
    product = std::uint64_t{bits()} * bound;
  } while (static_cast<std::uint32_t>(product) < surplus);
  return static_cast<std::uint32_t>(product >> 32);
}

}  // namespace crosstate
