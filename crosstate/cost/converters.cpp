#include "crosstate/cost/converters.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/options.h"
#include "crosstate/base/shipped.h"
#include "crosstate/cost/constant_fields.h"

namespace crosstate::cost {
namespace {

constexpr const char* kNamesOfConstants[] = {"convert", "convert_bit_factor", "convert_time",
                                             "columns_per_converter", "convert_area"};

std::vector<ConstantDefinition> definitions() {
  std::vector<ConstantDefinition> found;
  for (const ConstantDefinition& c : constants_of(TargetKind::kCrossbar)) {
    const auto same = [&](const char* name) { return std::string(name) == c.name; };
    if (std::any_of(std::begin(kNamesOfConstants), std::end(kNamesOfConstants), same)) {
      found.push_back(c);
    }
  }
  return found;
}

}  // namespace

Range to_bits(const Range& conversion, const Range& factor, int more) {
  Range scale{std::pow(factor.low, more), std::pow(factor.typical, more),
              std::pow(factor.high, more)};
  if (more < 0) std::swap(scale.low, scale.high);
  return conversion * scale;
}

Range Converter::conversion(int to) const {
  return to_bits(constants.at("convert").value, constants.at("convert_bit_factor").value,
                 to - bits);
}

Converter parse_converter(const std::string& toml, const std::string& path) {
  Converter converter;
  FieldList list;
  list.section("converter");
  list.add("summary", converter.summary, "One-line description.");
  list.add("node", converter.node, "Technology node.").in("nm").range(1, 1000);
  list.add("bits", converter.bits, "Bits of a conversion.").range(1, 16);
  const std::vector<ConstantDefinition> all = definitions();
  for (const ConstantDefinition& c : all) add_constant(list, c, converter.constants[c.name]);
  list.parse_toml(toml, path);
  if (converter.node == 0) fail(path, "[converter] has no node, expected nm");
  if (converter.bits == 0) fail(path, "[converter] has no bits, expected 1 to 16");
  for (const ConstantDefinition& c : all) check_constant(path, c, converter.constants.at(c.name));
  return converter;
}

Converter find_converter(ConverterType type) {
  constexpr std::size_t kMostBytes = 1 << 20;
  const std::string path = (shipped("converters") / (name_of(type) + ".toml")).string();
  return parse_converter(read_file(path, kMostBytes), path);
}

Technology with_converter(const Technology& crossbar, ConverterType type) {
  if (type == ConverterType::kTarget) return crossbar;
  if (crossbar.kind != TargetKind::kCrossbar) {
    fail(crossbar.name, "is of kind " + name_of(crossbar.kind) + ", which has no converters");
  }
  const Converter converter = find_converter(type);
  const double linear = crossbar.node / converter.node, square = linear * linear;
  Technology t = crossbar;
  t.summary += ", with converters of another type: " + converter.summary;
  for (const char* name : kNamesOfConstants) {
    const bool area = std::string(name) == "convert_area";
    if (area && crossbar["convert_area"].high == 0) continue;
    Constant constant = converter.constants.at(name);
    if (area) constant.value = constant.value * square;
    t.constants.at(name) = std::move(constant);
  }
  t.constants.at("convert").value =
      converter.conversion(t.output_bits) *
      Range{std::min(linear, square), linear, std::max(linear, square)};
  return t;
}

}  // namespace crosstate::cost
