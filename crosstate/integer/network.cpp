#include "crosstate/integer/network.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <string_view>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/options.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/kernels/residue.h"
#include "crosstate/model/options.h"
#include "crosstate/quant/options.h"

namespace crosstate::integer {
namespace {

using nlohmann::json;
using Shape = std::vector<std::uint64_t>;

constexpr std::string_view kKind = "crosstate integer network";
constexpr const char *kScoreSteps = "score_steps", *kScheme = "scheme", *kReadout = "readout";
constexpr std::int64_t kMostMultiplier = std::int64_t{1} << 24;
constexpr int kMostEarly = 32, kLeastScoreSteps = -16;
constexpr std::uint64_t kMostSize = std::uint64_t{1} << 16;

// Reading and writing visit the same list of tensors, so that they cannot diverge.
class Writer {
 public:
  explicit Writer(formats::Safetensors& out) : out_(out) {}

  template <class T>
  void tensor(const std::string& name, std::vector<T>& values, const Shape& shape, std::int64_t,
              std::int64_t) {
    out_.tensors[name] = formats::Tensor::from(values, shape);
  }
  void early(const std::string& name, Requantizer& r, std::uint64_t rows) {
    if (!r.early.empty()) tensor(name, r.early, {rows}, 0, kMostEarly);
  }
  void residue_bits(const std::string& name, std::vector<std::uint8_t>& bits, const Shape& shape) {
    std::vector<std::int32_t> values(bits.begin(), bits.end());
    tensor(name, values, shape, 0, kernels::kMostResidueBits);
  }
  void shape(const std::string& at, const model::BlockShape& shape,
             const model::BlockShape& whole) {
    model::save_shape(shape, whole, at, out_);
  }

 private:
  formats::Safetensors& out_;
};

class Reader {
 public:
  Reader(const formats::Safetensors& in, const std::string& where, int version)
      : in_(in), where_(where), version_(version) {}

  template <class T>
  void tensor(const std::string& name, std::vector<T>& values, const Shape& shape, std::int64_t low,
              std::int64_t high) {
    const auto it = in_.tensors.find(name);
    if (it == in_.tensors.end()) fail(where_, "tensor '" + name + "' is missing");
    values = it->second.integers<T>(shape, where_ + ": tensor '" + name + "'");
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] >= low && values[i] <= high) continue;
      fail(where_, "tensor '" + name + "' holds " + std::to_string(values[i]) + " at " +
                       std::to_string(i) + ", expected " + std::to_string(low) + " to " +
                       std::to_string(high));
    }
  }
  void early(const std::string& name, Requantizer& r, std::uint64_t rows) {
    if (version_ > 1 && in_.tensors.contains(name)) tensor(name, r.early, {rows}, 0, kMostEarly);
  }
  void residue_bits(const std::string& name, std::vector<std::uint8_t>& bits, const Shape& shape) {
    const std::uint64_t modes =
        std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, std::multiplies<>());
    std::vector<std::int32_t> values(modes, kernels::kMostResidueBits);
    if (version_ > 2) tensor(name, values, shape, 0, kernels::kMostResidueBits);
    bits.assign(values.begin(), values.end());
  }
  void shape(const std::string& at, model::BlockShape& shape, const model::BlockShape& whole) {
    shape = model::load_shape(in_, whole, at, where_);
  }

 private:
  const formats::Safetensors& in_;
  const std::string& where_;
  int version_;
};

std::int64_t quant_max(int bits) { return bits <= 2 ? 1 : (std::int64_t{1} << (bits - 1)) - 1; }

template <class Visitor>
void visit(Visitor& v, const std::string& name, Requantizer& r, std::uint64_t rows, bool second) {
  v.tensor(name + ".first", r.first, {rows}, -kMostMultiplier, kMostMultiplier);
  if (second) v.tensor(name + ".second", r.second, {rows}, -kMostMultiplier, kMostMultiplier);
  v.tensor(name + ".shift", r.shift, {rows}, 1, 52);
}

// A requantizer that produces codes; its sums may be shifted first.
template <class Visitor>
void visit_codes(Visitor& v, const std::string& name, Requantizer& r, std::uint64_t rows,
                 bool second) {
  visit(v, name, r, rows, second);
  v.early(name + ".early", r, rows);
}

template <class Visitor>
void visit(Visitor& v, const std::string& name, IntegerMatrix& m, std::uint64_t rows,
           std::uint64_t columns) {
  const std::int64_t top = quant_max(m.bits), most_bias = std::int64_t{1} << 46;
  v.tensor(name + ".weight", m.weight, {rows, columns}, -top, top);
  v.tensor(name + ".bias", m.bias, {rows}, -most_bias, most_bias);
  m.rows = rows;
  m.columns = columns;
}

std::uint64_t codes_of(const CodeFormat& f) {
  return static_cast<std::uint64_t>(f.quant_max - f.quant_min) + 1;
}

template <class Visitor>
void visit(Visitor& v, const std::string& at, IntegerBlock& b, const IntegerNetwork& n) {
  const model::BlockShape whole = model::BlockShape::whole(n.channels, n.modes);
  v.shape(at, b.shape, whole);
  const std::uint64_t S = b.shape.size(), O = n.linear_outputs();
  Shape per_mode{b.shape.modes()};
  if (b.shape == whole) per_mode = {n.channels, n.modes};
  constexpr std::int64_t kPole = std::int64_t{1} << 14;
  const std::int64_t c = quant_max(b.c_bits), d = quant_max(b.d_bits);
  v.tensor(at + "A.real", b.ar, per_mode, -kPole, kPole);
  v.tensor(at + "B.shift", b.input_shift, per_mode, 0, 30);
  if (n.state_rounding == kernels::RoundingMode::kNoiseShaped) {
    v.residue_bits(at + "residue_bits", b.residue_bits, per_mode);
  }
  v.tensor(at + "C.real", b.cr, per_mode, -c, c);
  if (n.complex) {
    v.tensor(at + "A.imaginary", b.ai, per_mode, -kPole, kPole);
    v.tensor(at + "C.imaginary", b.ci, per_mode, -c, c);
  }
  v.tensor(at + "D", b.d, {S}, -d, d);
  visit_codes(v, at + "output", b.output, S, true);
  v.tensor(at + "activation", b.activation_table, {codes_of(b.ssm_output)}, b.activation.quant_min,
           b.activation.quant_max);
  visit(v, at + "linear", b.linear_map, O, S);
  if (n.gated) {
    visit_codes(v, at + "linear", b.linear_codes, O, false);
    v.tensor(at + "gate", b.gate_table, {codes_of(b.linear)}, b.gate.quant_min, b.gate.quant_max);
  }
  visit_codes(v, at + "sum", b.sum, n.channels, true);
}

template <class Visitor>
void visit(Visitor& v, IntegerNetwork& n) {
  visit(v, "encoder", n.encoder, n.channels, n.inputs);
  visit_codes(v, "encoder", n.encoder_codes, n.channels, false);
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    visit(v, "layers." + std::to_string(l) + ".", n.blocks[l], n);
  }
  visit(v, "decoder", n.decoder, n.outputs, n.channels);
  visit(v, "decoder", n.scores, n.outputs, false);
}

// The oldest version in which no reader takes the network for another one: readers of version 2
// know neither residues nor scores of every step, and ignore keys that they do not know.
int version_of(const IntegerNetwork& n) {
  const bool shaped = n.state_rounding == kernels::RoundingMode::kNoiseShaped;
  return shaped || n.every_step ? 3 : 2;
}

// Keys of the smallest and the largest code of a format.
struct RangeKeys {
  const char *low, *high;
  explicit RangeKeys(int version)
      : low(version < 3 ? "low" : "quant_min"), high(version < 3 ? "high" : "quant_max") {}
};

// With the names of the settings.
FieldList scheme_fields(QuantizationScheme& s) {
  FieldList list;
  list.section("model");
  list.add("activation", s.activation_function, "");
  list.add("gate", s.gate_function, "");
  list.add("parameters", s.parameters, "").range(1, 0x1p53);
  const auto scales = [&](const char* name, quant::ScaleKind& value) {
    list.section(std::string("quant.") + name);
    list.add("scales", value, "");
  };
  const auto weights = [&](const char* name, WeightScheme& site) {
    scales(name, site.scales);
    list.add("granularity", site.granularity, "");
  };
  weights("encoder", s.encoder);
  weights("c", s.c);
  weights("d", s.d);
  weights("weight", s.weight);
  weights("decoder", s.decoder);
  list.section("quant.a");
  list.add("coding", s.coding, "");
  scales("input", s.input);
  scales("residual", s.residual);
  scales("ssm_output", s.ssm_output);
  scales("activation", s.activation);
  scales("linear", s.linear);
  return list;
}

QuantizationScheme scheme_from(const json& object, const std::string& where) {
  if (!object.is_object()) fail(where, "not a JSON object");
  QuantizationScheme scheme;
  scheme_fields(scheme).from_json(object, where);
  if (scheme.parameters == 0) fail(where, "no 'model.parameters'");
  return scheme;
}

// The name of noise-shaped rounding in files of versions without a number of residue bits: these
// have kMostResidueBits.
constexpr const char* kWholeResidue = "feedback";

struct RoundingName {
  kernels::RoundingMode mode;
  const char* name;
};
constexpr RoundingName kRoundings[] = {{kernels::RoundingMode::kNearest, "nearest"},
                                       {kernels::RoundingMode::kStochastic, "stochastic"},
                                       {kernels::RoundingMode::kNoiseShaped, "noise-shaped"}};

std::string name_in_file(kernels::RoundingMode mode) {
  const auto* const found =
      std::find_if(std::begin(kRoundings), std::end(kRoundings),
                   [&](const RoundingName& rounding) { return rounding.mode == mode; });
  return found->name;
}

json to_json(const IntegerNetwork& n) {
  const RangeKeys keys(version_of(n));
  const auto format_json = [&](const CodeFormat& f) {
    return json{{keys.low, f.quant_min}, {keys.high, f.quant_max}, {"scale", f.scale}};
  };
  json out = {{"inputs", n.inputs},
              {"channels", n.channels},
              {"modes", n.modes},
              {"classes", n.outputs},
              {"complex", n.complex},
              {"gated", n.gated},
              {"pooling", n.pool_last ? "last" : "mean"},
              {"state",
               {{"bits", n.state_bits},
                {"limit", n.state_limit},
                {"rounding", name_in_file(n.state_rounding)}}},
              {"input", format_json(n.input)},
              {"residual", format_json(n.residual)},
              {kScoreSteps, n.score_steps},
              {"encoder_bits", n.encoder.bits},
              {"decoder_bits", n.decoder.bits},
              {"layers", json::array()}};
  for (const IntegerBlock& b : n.blocks) {
    out["layers"].push_back({{"a_bits", b.a_bits},
                             {"c_bits", b.c_bits},
                             {"d_bits", b.d_bits},
                             {"linear_bits", b.linear_map.bits},
                             {"ssm_output", format_json(b.ssm_output)},
                             {"activation", format_json(b.activation)},
                             {"linear", format_json(b.linear)},
                             {"gate", format_json(b.gate)}});
  }
  if (n.every_step) out[kReadout] = name_of(task::Scope::kStep);
  if (n.scheme) {
    QuantizationScheme scheme = *n.scheme;
    out[kScheme] = scheme_fields(scheme).to_json();
  }
  return out;
}

// Reads validated numbers of one JSON object.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail(where_, "not a JSON object");
  }
  const json& at(const char* key) const {
    if (!object_.contains(key)) fail(where_, std::string("no '") + key + "'");
    known_.insert(key);
    return object_.at(key);
  }
  /// After all keys have been read: refuses others.
  void refuse_others() const {
    for (const auto& [key, value] : object_.items()) {
      if (!known_.contains(key)) fail(where_, "unknown key '" + excerpt(key) + '\'');
    }
  }
  std::int64_t whole(const char* key, std::int64_t low, std::int64_t high) const {
    const json& value = at(key);
    if (!value.is_number_integer() || value.is_number_unsigned() != (value >= 0))
      refuse(key, value);
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) refuse(key, value);
    const auto number = value.get<std::int64_t>();
    if (number < low || number > high) {
      fail(where_, std::string(key) + " = " + std::to_string(number) + ", expected " +
                       std::to_string(low) + " to " + std::to_string(high));
    }
    return number;
  }
  bool flag(const char* key) const {
    const json& value = at(key);
    if (!value.is_boolean()) refuse(key, value);
    return value.get<bool>();
  }
  CodeFormat format(const char* key, const RangeKeys& range) const {
    const Fields inner(at(key), where_ + "." + key);
    CodeFormat f;
    f.quant_min = static_cast<std::int32_t>(inner.whole(range.low, -65535, 0));
    f.quant_max = static_cast<std::int32_t>(inner.whole(range.high, 0, 65535));
    if (f.quant_min == f.quant_max) {
      fail(inner.where_,
           std::string(range.low) + " = " + range.high + " = 0, expected at least two codes");
    }
    const json& scale = inner.at("scale");
    if (!scale.is_number()) inner.refuse("scale", scale);
    f.scale = scale.get<double>();
    require_scale(f.scale, inner.where_);
    inner.refuse_others();
    return f;
  }
  [[noreturn]] void refuse(const char* key, const json& value) const {
    fail(where_, std::string(key) + " = " + shown(value) + " is not what belongs there");
  }
  static std::string shown(const json& value) { return excerpt(exact_json_text(value), 40); }

 private:
  const json& object_;
  std::string where_;
  mutable std::set<std::string> known_;  // keys that have been read
};

int bits_of(const Fields& fields, const char* key, int least) {
  return static_cast<int>(fields.whole(key, least, 16));
}

kernels::RoundingMode rounding_of(const Fields& state, const std::string& where, int version) {
  const json& found = state.at("rounding");
  if (!found.is_string()) state.refuse("rounding", found);
  std::string expected;
  for (const auto& [mode, name] : kRoundings) {
    const bool shaped = mode == kernels::RoundingMode::kNoiseShaped;
    const char* const in_version = shaped && version < 3 ? kWholeResidue : name;
    if (found == in_version) return mode;
    expected += (expected.empty() ? "" : shaped ? " or " : ", ") + std::string(in_version);
  }
  fail(where, "state.rounding = " + Fields::shown(found) + ", expected " + expected);
}

IntegerNetwork shape_from(const json& object, const std::string& where, int version) {
  const Fields fields(object, where);
  const auto size = [&](const char* key) {
    return static_cast<std::size_t>(fields.whole(key, 1, kMostSize));
  };
  const RangeKeys range(version);
  IntegerNetwork n;
  n.inputs = size("inputs");
  n.channels = size("channels");
  n.modes = size("modes");
  n.outputs = size("classes");
  n.complex = fields.flag("complex");
  n.gated = fields.flag("gated");
  const json& pooling = fields.at("pooling");
  if (pooling != "mean" && pooling != "last") fields.refuse("pooling", pooling);
  n.pool_last = pooling == "last";
  if (object.contains(kReadout)) {
    const json& readout = fields.at(kReadout);
    n.every_step = readout == name_of(task::Scope::kStep);
    const bool known = n.every_step || readout == name_of(task::Scope::kSequence);
    if (!known) fields.refuse(kReadout, readout);
    if (n.every_step && !n.pool_last) fields.refuse("pooling", pooling);
  }
  const Fields state(fields.at("state"), where + ".state");
  n.state_bits = bits_of(state, "bits", 2);
  n.state_limit = static_cast<std::int32_t>(state.whole("limit", 1, quant_max(n.state_bits)));
  n.state_rounding = rounding_of(state, where, version);
  state.refuse_others();
  n.input = fields.format("input", range);
  n.residual = fields.format("residual", range);
  n.encoder.bits = bits_of(fields, "encoder_bits", 1);
  n.decoder.bits = bits_of(fields, "decoder_bits", 1);
  if (version > 1) {
    n.score_steps =
        static_cast<int>(fields.whole(kScoreSteps, kLeastScoreSteps, IntegerNetwork::kEveryLength));
  }
  const json& layers = fields.at("layers");
  if (!layers.is_array() || layers.empty() || layers.size() > kMostSize) {
    fields.refuse("layers", layers);
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const Fields layer(layers[l], where + ".layers[" + std::to_string(l) + "]");
    IntegerBlock b;
    b.a_bits = bits_of(layer, "a_bits", 2);
    b.c_bits = bits_of(layer, "c_bits", 1);
    b.d_bits = bits_of(layer, "d_bits", 1);
    b.linear_map.bits = bits_of(layer, "linear_bits", 1);
    b.ssm_output = layer.format("ssm_output", range);
    b.activation = layer.format("activation", range);
    b.linear = layer.format("linear", range);
    b.gate = layer.format("gate", range);
    layer.refuse_others();
    n.blocks.push_back(std::move(b));
  }
  if (object.contains(kScheme)) n.scheme = scheme_from(fields.at(kScheme), where + ".scheme");
  fields.refuse_others();
  return n;
}

// Residues beside a state without them would silently be dropped.
void refuse_idle_residues(const IntegerNetwork& n, const formats::Safetensors& content, int version,
                          const std::string& where) {
  const bool shaped = n.state_rounding == kernels::RoundingMode::kNoiseShaped;
  if (shaped && version > 2) return;
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    const std::string name = "layers." + std::to_string(l) + ".residue_bits";
    if (!content.tensors.contains(name)) continue;
    fail(where, "tensor '" + name +
                    (shaped ? "' in a file of version " + std::to_string(version) +
                                  ", whose states all have a residue of " +
                                  std::to_string(kernels::kMostResidueBits) + " bits"
                            : "' beside state.rounding = \"" + name_in_file(n.state_rounding) +
                                  "\", expected \"noise-shaped\" or no such tensor"));
  }
}

void require_stable(const IntegerNetwork& n, const std::string& where) {
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    const IntegerBlock& b = n.blocks[l];
    for (std::size_t i = 0; i < b.ar.size(); ++i) {
      const std::int64_t re = b.ar[i], im = n.complex ? b.ai[i] : 0;
      if (re * re + im * im < std::int64_t{1} << 28) continue;
      fail(where, "layers." + std::to_string(l) + ".A at " + std::to_string(i) +
                      " is not inside the unit circle");
    }
  }
  for (const std::int32_t shift : n.scores.shift) {
    if (shift != n.scores.shift[0]) fail(where, "decoder.shift differs between outputs");
  }
}

}  // namespace

std::size_t IntegerNetwork::first_mode(std::size_t layer) const {
  std::size_t first = 0;
  for (std::size_t l = 0; l < layer; ++l) first += blocks[l].shape.modes();
  return first;
}

std::int32_t IntegerNetwork::early_score_shift(std::int64_t steps) const {
  const auto beyond_first = static_cast<std::uint64_t>(std::max<std::int64_t>(steps, 1) - 1);
  return std::max(0, static_cast<int>(std::bit_width(beyond_first)) - score_steps);
}

bool is_integer_network(const formats::Safetensors& content) {
  const auto it = content.metadata.find("format");
  return it != content.metadata.end() && it->second.starts_with(kKind);
}

formats::Safetensors to_tensors(const IntegerNetwork& network) {
  formats::Safetensors out;
  IntegerNetwork copy = network;
  Writer writer(out);
  visit(writer, copy);
  out.metadata["format"] = FileFormat(kKind, version_of(network)).text();
  out.metadata["integer"] = exact_json_text(to_json(network));
  return out;
}

IntegerNetwork integer_network_from(const formats::Safetensors& content, const std::string& where) {
  const auto format = content.metadata.find("format");
  if (format == content.metadata.end()) fail(where, "no 'format' in the metadata");
  const int version = kIntegerFormat.version_of(format->second, where);
  const auto text = content.metadata.find("integer");
  if (text == content.metadata.end()) fail(where, "no 'integer' in the metadata");
  const json shape = try_parse_json(text->second);
  const std::string place = where + ": metadata 'integer'";
  // The parser also rejects numbers outside the range of binary64.
  if (shape.is_discarded()) fail(place, "not valid JSON, or a number in it is too large");
  IntegerNetwork network = shape_from(shape, place, version);
  refuse_idle_residues(network, content, version, where);
  Reader reader(content, where, version);
  visit(reader, network);
  require_stable(network, where);
  require_64_bits(network, where);
  return network;
}

}  // namespace crosstate::integer
