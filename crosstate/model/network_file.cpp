// Saves a network as tensors and metadata, and loads it.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/model/network_state.h"

namespace crosstate::model {
namespace {

using Shape = std::vector<std::uint64_t>;

constexpr float kMostCodes = 65536;
constexpr const char* kQuantMins = "range.least_codes";

std::string state_step_name(std::size_t layer) {
  return "layers." + std::to_string(layer) + ".state_step";
}
std::string statistic_name(std::size_t layer, const char* what) {
  return "layers." + std::to_string(layer) + ".norm." + what;
}

std::vector<BlockShape> load_shapes(const formats::Safetensors& content,
                                    const ModelOptions& options, const std::string& where) {
  std::vector<BlockShape> shapes = whole_shapes(options);
  for (std::size_t l = 0; l < shapes.size(); ++l) {
    shapes[l] = load_shape(content, shapes[l], "layers." + std::to_string(l) + ".", where);
  }
  return shapes;
}

// The configuration stored in the metadata.
struct Configuration {
  ModelOptions model;
  TaskShape task;
  quant::QuantOptions quant;
  FieldList list() {
    FieldList f;
    fields(f, model);
    quant::fields(f, quant);
    f.section("task");
    f.add("inputs", task.inputs, "channels of the sequences").range(1, 65536);
    f.add("classes", task.outputs, "classes").range(1, 65536);
    return f;
  }
};

// Checked before memory is allocated for the sizes claimed by a small file, using the largest
// matrices.
void require_enough_values(const formats::Safetensors& content, const Configuration& configuration,
                           const std::vector<BlockShape>& shapes, const std::string& where) {
  const auto number = [](int value) { return static_cast<std::uint64_t>(value); };
  const ModelOptions& model = configuration.model;
  const std::uint64_t channels = number(model.channels);
  std::uint64_t least =
      channels * (number(configuration.task.inputs) + number(configuration.task.outputs));
  for (const BlockShape& shape : shapes) least += channels * shape.size() + 2 * shape.modes();
  std::uint64_t found = 0;
  for (const auto& [name, tensor] : content.tensors) found += tensor.bytes.size() / sizeof(float);
  if (found >= least) return;
  fail(where, std::to_string(found) + " values, but a network of " + std::to_string(model.layers) +
                  " layers, " + std::to_string(channels) + " channels and " +
                  std::to_string(model.states) + " states has at least " + std::to_string(least));
}

// Executors and certificates rely on a code for 0, which every range that is chosen has. Of a site
// that is not rounded the lowest code has no effect.
void require_codes_of_zero(const Network::State& s, const std::string& where) {
  const auto require = [&](std::size_t parameter, const quant::ActivationSite& site) {
    const std::size_t index = parameter - s.input_range;
    const int codes = site.bits == quant::kFloatBits ? 0 : (1 << site.bits) - 1;
    const int least = s.quant_mins[index];
    if (codes == 0 || (least >= -codes && least <= 0)) return;
    fail(where, std::string("tensor '") + kQuantMins + "' holds " + std::to_string(least) + " at " +
                    std::to_string(index) + ", expected " + std::to_string(-codes) +
                    " to 0, so that the " + std::to_string(site.bits) + "-bit codes of '" +
                    s.parameters[parameter].name + "' include 0");
  };
  require(s.input_range, s.quant.input);
  require(s.residual_range, s.quant.residual);
  for (const BlockParameters& p : s.blocks) {
    require(p.ssm_output, s.quant.ssm_output);
    require(p.activation, s.quant.activation);
    require(p.linear, s.quant.linear);
  }
}

}  // namespace

formats::Safetensors Network::to_tensors() const {
  const State& s = *state_;
  Configuration configuration{s.options, s.task, s.quant};
  formats::Safetensors out;
  for (const Parameter& p : s.parameters)
    out.tensors[p.name] = formats::Tensor::from(p.value, p.shape);
  const BlockShape whole = BlockShape::whole(s.channels(), s.modes());
  for (std::size_t l = 0; l < s.shapes.size(); ++l) {
    save_shape(s.shapes[l], whole, "layers." + std::to_string(l) + ".", out);
  }
  for (std::size_t l = 0; l < s.statistics.size(); ++l) {
    const Shape shape{s.linear_outputs()};
    out.tensors[statistic_name(l, "mean")] = formats::Tensor::from(s.statistics[l].mean, shape);
    out.tensors[statistic_name(l, "variance")] =
        formats::Tensor::from(s.statistics[l].variance, shape);
  }
  for (std::size_t l = 0; l < s.state_steps.size(); ++l) {
    out.tensors[state_step_name(l)] = formats::Tensor::from(s.state_steps[l], s.mode_shape(l));
  }
  if (s.quantized) {
    const std::vector<float> least(s.quant_mins.begin(), s.quant_mins.end());
    out.tensors[kQuantMins] = formats::Tensor::from(least, {least.size()});
  }
  out.metadata["format"] = kNetworkFormat.text();
  out.metadata["network"] = exact_json_text(configuration.list().to_json());
  out.metadata["quantized"] = s.quantized ? "true" : "false";
  return out;
}

Network Network::from_tensors(const formats::Safetensors& content, const std::string& where) {
  const auto entry = [&](const std::string& key) {
    const auto it = content.metadata.find(key);
    if (it == content.metadata.end())
      fail(where, "no '" + key + "' in the metadata: not a network of this program");
    return it->second;
  };
  kNetworkFormat.version_of(entry("format"), where);
  nlohmann::json values = try_parse_json(entry("network"));
  if (!values.is_object()) fail(where, "metadata 'network' is not a JSON object");
  quant::renew_settings(values);
  Configuration configuration;
  configuration.list().from_json(values, where);
  about_file(where, [&] { validate(configuration.model); });
  const std::vector<BlockShape> shapes = load_shapes(content, configuration.model, where);
  require_enough_values(content, configuration, shapes, where);
  Network network = unfilled(configuration.model, configuration.task, shapes);
  State& s = *network.state_;
  const std::string quantized = entry("quantized");
  if (quantized != "true" && quantized != "false") {
    fail(where, "metadata 'quantized' is '" + excerpt(quantized) + "', expected 'true' or 'false'");
  }
  if (quantized == "true") {
    about_file(where, [&] { quant::validate(configuration.quant); });
    s.quant = quant::resolved(configuration.quant);
    s.quantized = true;
    s.add_ranges();
  }
  const auto load = [&](const std::string& name, const Shape& shape) {
    const auto it = content.tensors.find(name);
    if (it == content.tensors.end()) fail(where, "tensor '" + name + "' is missing");
    std::vector<float> v = it->second.floats(shape, where + ": tensor '" + name + "'");
    for (std::size_t i = 0; i < v.size(); ++i) {
      if (!std::isfinite(v[i]))
        fail(where, "tensor '" + name + "' holds " + std::to_string(v[i]) + " at " +
                        std::to_string(i) + ", expected finite values");
    }
    return v;
  };
  const auto require_above = [&](float bound, const std::vector<float>& v, const std::string& name,
                                 const std::string& expectation) {
    for (std::size_t i = 0; i < v.size(); ++i) {
      if (v[i] > bound) continue;
      fail(where, "tensor '" + name + "' holds " + std::to_string(v[i]) + " at " +
                      std::to_string(i) + ", expected " + expectation);
    }
  };
  for (Parameter& p : s.parameters) p.value = load(p.name, p.shape);
  for (std::size_t l = 0; l < s.statistics.size(); ++l) {
    s.statistics[l].mean = load(statistic_name(l, "mean"), {s.linear_outputs()});
    s.statistics[l].variance = load(statistic_name(l, "variance"), {s.linear_outputs()});
    require_above(-1e-6f, s.statistics[l].variance, statistic_name(l, "variance"),
                  "positive values or 0");
  }
  if (s.quantized) {
    const std::vector<float> least = load(kQuantMins, {s.quant_mins.size()});
    for (std::size_t i = 0; i < least.size(); ++i) {
      if (std::nearbyint(least[i]) != least[i] || std::abs(least[i]) >= kMostCodes) {
        fail(where, std::string("tensor '") + kQuantMins + "' holds " + std::to_string(least[i]) +
                        " at " + std::to_string(i) + ", expected integers below 65536");
      }
      s.quant_mins[i] = static_cast<int>(least[i]);
    }
    require_codes_of_zero(s, where);
  }
  for (std::size_t l = 0; l < s.state_steps.size(); ++l) {
    s.state_steps[l] = load(state_step_name(l), s.mode_shape(l));
    require_above(0, s.state_steps[l], state_step_name(l), "positive values");
  }
  return network;
}

}  // namespace crosstate::model
