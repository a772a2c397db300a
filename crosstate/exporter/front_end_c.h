// The front end in whole numbers as C source, for microcontrollers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "crosstate/data/front_end.h"
#include "crosstate/integer/network.h"

namespace crosstate::exporter {

/// Texts of NAME_front_end.h and NAME_front_end.c, for fill().
struct FrontEndSources {
  std::string header, source;
  std::size_t table_bytes = 0;  // of constants in flash
  std::size_t state_bytes = 0;  // of one instance
};

/// C99 that turns 16-bit samples into the input codes of a network, one sample at a time, with the
/// bits of IntegerFrontEndStream and input_code(). It includes only <stdint.h> and <string.h>, and
/// neither allocates nor computes in floating point. Throws Error (`where`: the model) for a front
/// end in float, for windows of more than 32768 samples, and for extreme scales of the input.
FrontEndSources front_end_sources(const data::FrontEnd& front_end, const integer::CodeFormat& input,
                                  const std::string& where);

/// Codes of generated sound. With the draws x of GoldenVectors for s = 0, sample i is
///
///     ((x >> 16) - 32768) / 2^(15 - floor(16 i / samples)), rounded towards 0:
///
/// noise that grows from silence to full scale.
struct SoundCheck {
  std::size_t samples = 0;
  std::uint64_t digest = 0;  // of the codes of all frames, see ScoreDigest
};
SoundCheck sound_check(const data::FrontEnd& front_end, const integer::CodeFormat& input);

}  // namespace crosstate::exporter
