#include "crosstate/exporter/c_values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/code_map.h"
#include "crosstate/integer/reference.h"

namespace crosstate::exporter {
namespace {

// A binary floating-point constant; decimal digits would be rounded twice.
std::string hexadecimal(double value) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), std::abs(value),
                                 std::chars_format::hex);
  return (std::signbit(value) ? "-0x" : "0x") + std::string(digits.data(), end.ptr);
}

}  // namespace

std::string sensor_function(const NetworkWriter& w) {
  if (!w.o.unit) return "";
  SensorScale s = sensor_scale(*w.o.unit / w.n.input.scale);
  std::int64_t offset = 0;
  // The input quantizer rounds in binary32. Sensors get exactly its codes where a factor and an
  // offset give them for all values up to the ends of the codes: outside the values from which it
  // is fitted, a factor may be far from the unit.
  constexpr double kLeast = 1 << 16, kMost = 1 << 23;
  const double reach =
      (static_cast<double>(integer::magnitude(w.n.input)) + 1) * w.n.input.scale / *w.o.unit;
  if (reach <= kMost) {
    const auto most = static_cast<std::int32_t>(std::max(kLeast, std::ceil(reach)));
    const auto map = integer::fit_code_map(-most, most, w.n.input, [&](std::int32_t value) {
      return integer::input_code(w.n.input, static_cast<float>(value * *w.o.unit));
    });
    if (map && map->shift > 0) {
      s = {map->factor, map->shift};
      offset = map->bias - (std::int64_t{1} << (map->shift - 1));
    }
  }
  return "int32_t %n%_code(int32_t value)\n{\n    return code64((int64_t)value * " +
         c_number(s.factor) + (offset == 0 ? "" : " + " + c_number(offset)) + ", " +
         std::to_string(s.shift) + "u, %N%_INPUT_MIN, %N%_INPUT_MAX);\n}\n\n";
}

std::string float_functions(const NetworkWriter& w) {
  const float inverse = 1.0f / static_cast<float>(w.n.input.scale);
  std::string text =
      "#ifdef %N%_WITH_FLOAT\n"
      "int32_t %n%_code_of(float value)\n{\n"
      "    volatile float product = value * " +
      hexadecimal(inverse) +
      "f; /* rounded before the sum */\n    const float steps = product + 0.5f;\n"
      "    int32_t code;\n"
      "    if (!(steps > (float)%N%_INPUT_MIN)) {\n        return %N%_INPUT_MIN;\n    }\n"
      "    if (steps >= (float)%N%_INPUT_MAX) {\n        return %N%_INPUT_MAX;\n    }\n"
      "    code = (int32_t)steps;\n"
      "    return ((float)code > steps) ? (code - 1) : code;\n}\n\n"
      "void %n%_outputs(const %n%_state *state, float out[%N%_OUTPUTS])\n{\n"
      "    int64_t scores[%N%_OUTPUTS];\n"
      "    double unit = " +
      hexadecimal(std::ldexp(1.0, -w.n.scores.shift[0])) + ";\n    size_t k;\n";
  if (w.early_scores) {
    text += "    uint32_t places = score_places(" +
            std::string(w.n.pool_last ? "1u" : "state->steps") +
            ");\n"
            "    for (; places > 0u; --places) {\n        unit *= 2.0;\n    }\n";
  }
  const std::string steps = w.n.pool_last ? "" : " / (double)state->steps";
  text +=
      "    %n%_scores(state, scores);\n    for (k = 0; k < %N%_OUTPUTS; ++k) {\n"
      "        out[k] = (float)((double)scores[k] * unit" +
      steps + ");\n    }\n";
  for (std::size_t k = 0; k < w.o.scale.size(); ++k) {
    const std::string at = "out[" + std::to_string(k) + "]";
    text += "    " + at + " = (float)(" + hexadecimal(w.o.offset[k]) + " + " +
            hexadecimal(w.o.scale[k]) + " * (double)" + at + ");\n";
  }
  return text + "}\n#endif\n";
}

SensorScale sensor_scale(double steps) {
  constexpr int kBits = 31;  // of the factor
  if (!(std::isfinite(steps) && steps > 0)) {
    fail("export.unit", "is not a positive number, expected the real value of one sensor step");
  }
  const int exponent = std::ilogb(steps);
  SensorScale s;
  s.shift = std::clamp(kBits - 2 - exponent, 1, 62);
  const double factor = std::round(std::ldexp(steps, s.shift));
  if (factor < 1 || factor > std::numeric_limits<std::int32_t>::max()) {
    fail("export.unit", "makes one step of the sensor " + std::to_string(steps) +
                            " codes of the input, which no 32-bit factor represents");
  }
  s.factor = static_cast<std::int64_t>(factor);
  return s;
}

}  // namespace crosstate::exporter
