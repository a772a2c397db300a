#include "crosstate/exporter/c_requantizers.h"

namespace crosstate::exporter {

std::string times(const std::string& a, const std::string& b) {
  return b == "1" ? a : a + " * " + b;
}

Codes RequantizerWriter::add(Tables& tables, const std::string& name,
                             const std::vector<SiteRows>& rows, const Bounds& bounds,
                             const std::vector<integer::CodeFormat>& to) {
  Codes c;
  c.plan = plan_requantizers(rows, bounds);
  c.first = tables.table(name + "_first", c.plan.first);
  if (c.plan.two) c.second = tables.table(name + "_second", c.plan.second);
  if (c.plan.places == 0) c.shift = tables.table(name + "_shift", c.plan.shift);
  if (c.plan.shifts_first) c.early = tables.table(name + "_early", c.plan.early);
  std::vector<std::int64_t> low, high;
  for (const integer::CodeFormat& format : to) {
    low.push_back(format.quant_min);
    high.push_back(format.quant_max);
  }
  c.low = tables.scalar(name + "_min", low);
  c.high = tables.scalar(name + "_max", high);
  if (c.plan.in_32_bits) {
    code_32_ = true;
  } else if (c.plan.places > 0) {
    scaled_.insert(c.plan.places);
  } else {
    code_64_ = true;
  }
  rounded_ = rounded_ || c.plan.shifts_first;
  return c;
}

std::string RequantizerWriter::code(const Codes& c, const Sum& first, const Sum& second,
                                    const std::string& index) const {
  std::string p = first.text, q = second.text;
  const bool narrow = c.plan.in_32_bits;
  if (!narrow) {
    p = c.plan.shifts_first ? "rounded(" + p + ", (uint32_t)" + c.early.at(index) + ")"
                            : "(int64_t)" + p;
    q = "(int64_t)" + q;
  } else {
    if (!first.narrow) p = "(int32_t)" + p;
    // Codes of the residual stream are promoted to int, which has 16 bits on some processors.
    if (!second.narrow || q == "u[h]") q = "(int32_t)" + q;
  }
  std::string sum = times(p, c.first.at(index));
  if (c.uses_second()) {
    sum = (sum.find(" * ") == std::string::npos ? sum : "(" + sum + ")") + " + (" +
          times(q, c.second.at(index)) + ")";
  }
  const std::string range = ", " + c.low.text + ", " + c.high.text + ")";
  if (c.plan.places > 0) return "scaled_" + std::to_string(c.plan.places) + "(" + sum + range;
  return (narrow ? "code32(" : "code64(") + sum + ", (uint32_t)" + c.shift.at(index) + range;
}

std::string RequantizerWriter::rounded(const std::string& value, const std::string& places) {
  rounded_ = true;
  return "rounded(" + value + ", " + places + ")";
}

std::string RequantizerWriter::functions() const {
  const auto clamped = [](const std::string& name, const std::string& type) {
    return "static " + type + " " + name + "(" + type + " value, " + type + " low, " + type +
           " high)\n{\n    const " + type +
           " above = (value < low) ? low : value;\n"
           "    return (above > high) ? high : above;\n}\n\n";
  };
  const auto down = [](const std::string& bits) {
    return "/* value 2^-places, rounded downwards */\nstatic int" + bits + "_t down" + bits +
           "(int" + bits + "_t value, uint32_t places)\n{\n    return value >> places;\n}\n\n";
  };
  std::string text = clamped("clamp", "int32_t");
  if (clamp_64_ || code_64_) text += clamped("clamp64", "int64_t");
  if (down_32_ || code_32_) text += down("32");
  if (down_64_ || code_64_ || rounded_ || !scaled_.empty()) text += down("64");
  if (rounded_) {
    text +=
        "/* value 2^-places, rounded to nearest, ties upwards */\n"
        "static int64_t rounded(int64_t value, uint32_t places)\n{\n"
        "    return down64(value + (int64_t)(((uint64_t)1 << places) >> 1), places);\n}\n\n";
  }
  const std::string comment =
      "/* sum 2^-places, rounded to nearest, ties upwards, and saturated */\n";
  if (code_32_) {
    text += comment +
            "static int32_t code32(int32_t sum, uint32_t places, int32_t low, int32_t high)\n{\n"
            "    return clamp(down32(sum + (int32_t)(((uint32_t)1 << places) >> 1), places), low, "
            "high);\n}\n\n";
  }
  if (code_64_) {
    text += comment +
            "static int32_t code64(int64_t sum, uint32_t places, int32_t low, int32_t high)\n{\n"
            "    return (int32_t)clamp64(down64(sum + (int64_t)(((uint64_t)1 << places) >> 1), "
            "places), low, high);\n}\n\n";
  }
  for (const int places : scaled_) {
    const std::string p = std::to_string(places);
    text += "/* sum 2^-" + p +
            ", rounded to nearest, ties upwards, and saturated */\nstatic int32_t scaled_" + p +
            "(int64_t sum, int32_t low, int32_t high)\n{\n    return clamp((int32_t)down64(sum + " +
            c_number(std::int64_t{1} << (places - 1)) + ", " + p + "u), low, high);\n}\n\n";
  }
  return text;
}

}  // namespace crosstate::exporter
