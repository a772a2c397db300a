#include "crosstate/model/network.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/pass.h"

namespace crosstate {
namespace {

using Shape = std::vector<std::uint64_t>;

std::size_t elements(const Shape& shape) {
  std::size_t n = 1;
  for (const auto d : shape) n *= d;
  return n;
}

// Adds parameters in a fixed order and fills them from their own random stream.
class Builder {
 public:
  Builder(std::vector<Parameter>& parameters, std::uint64_t seed)
      : parameters_(parameters), seed_(seed) {}

  template <class Fill>
  std::size_t add(std::string name, Shape shape, ParameterGroup group, Fill fill) {
    Random random(seed_, Stream::kInit, static_cast<std::uint32_t>(parameters_.size()));
    Parameter p;
    p.name = std::move(name);
    p.group = group;
    p.value.resize(elements(shape));
    p.gradient.assign(p.value.size(), 0);
    p.shape = std::move(shape);
    for (std::size_t i = 0; i < p.value.size(); ++i) {
      p.value[i] = static_cast<float>(fill(random, i));
    }
    parameters_.push_back(std::move(p));
    return parameters_.size() - 1;
  }

  std::size_t uniform(std::string name, Shape shape, ParameterGroup group, double bound) {
    return add(std::move(name), std::move(shape), group,
               [bound](Random& r, std::size_t) { return r.uniform(-bound, bound); });
  }
  std::size_t constant(std::string name, Shape shape, ParameterGroup group, double value) {
    return add(std::move(name), std::move(shape), group,
               [value](Random&, std::size_t) { return value; });
  }

 private:
  std::vector<Parameter>& parameters_;
  std::uint64_t seed_;
};

// Of a block's arrays by mode: [H][M] where all channels have as many, [N] otherwise.
Shape mode_shape(const Network::State& s, std::size_t layer) {
  const BlockShape& shape = s.shapes[layer];
  if (shape == BlockShape::whole(s.channels(), s.modes())) return {s.channels(), s.modes()};
  return {shape.modes()};
}

BlockParameters add_block(const Network::State& s, std::size_t layer,
                          const std::vector<std::complex<double>>& poles, Builder& build) {
  const std::string at = "layers." + std::to_string(layer) + ".";
  const BlockShape& shape = s.shapes[layer];
  const Shape per_mode = mode_shape(s, layer);
  Shape coefficient = per_mode;
  if (s.complex()) coefficient.push_back(2);
  const std::size_t modes = s.modes();
  const double low = std::log(s.options.dt_min), high = std::log(s.options.dt_max);
  const double bound = 1 / std::sqrt(static_cast<double>(s.channels()));
  BlockParameters p{};
  p.log_dt = build.add(at + "log_dt", {shape.size()}, ParameterGroup::kRecurrence,
                       [=](Random& r, std::size_t) { return r.uniform(low, high); });
  p.log_a = build.add(at + "log_a", per_mode, ParameterGroup::kRecurrence,
                      [&](Random&, std::size_t i) { return std::log(-poles[i % modes].real()); });
  if (s.complex()) {
    p.w = build.add(at + "w", per_mode, ParameterGroup::kRecurrence,
                    [&](Random&, std::size_t i) { return poles[i % modes].imag(); });
  }
  if (s.options.train_b) {
    p.b = build.add(at + "B", coefficient, ParameterGroup::kRecurrence,
                    [&](Random&, std::size_t i) { return s.complex() && i % 2 == 1 ? 0.0 : 1.0; });
  }
  p.c = build.add(at + "C", coefficient, ParameterGroup::kWeight,
                  [](Random& r, std::size_t) { return r.normal() * std::sqrt(0.5); });
  p.d = build.add(at + "D", {shape.size()}, ParameterGroup::kWeight,
                  [](Random& r, std::size_t) { return r.normal(); });
  p.weight = build.uniform(at + "linear.weight", {s.linear_outputs(), shape.size()},
                           ParameterGroup::kWeight, bound);
  p.bias = build.uniform(at + "linear.bias", {s.linear_outputs()}, ParameterGroup::kNoDecay, bound);
  if (s.options.norm != "none") {
    const std::size_t rows = s.batch_norm() ? s.linear_outputs() : s.channels();
    p.gamma = build.constant(at + "norm.gamma", {rows}, ParameterGroup::kNoDecay, 1);
    p.beta = build.constant(at + "norm.beta", {rows}, ParameterGroup::kNoDecay, 0);
  }
  return p;
}

constexpr float kMostCodes = 65536;
constexpr const char* kLeastCodes = "range.least_codes";

std::string state_step_name(std::size_t layer) {
  return "layers." + std::to_string(layer) + ".state_step";
}
std::string statistic_name(std::size_t layer, const char* what) {
  return "layers." + std::to_string(layer) + ".norm." + what;
}

std::size_t modes_of(const ModelOptions& options) {
  return static_cast<std::size_t>(options.modes == "complex" ? options.states / 2 : options.states);
}

std::vector<BlockShape> whole_blocks(const ModelOptions& options) {
  return {static_cast<std::size_t>(options.layers),
          BlockShape::whole(static_cast<std::size_t>(options.channels), modes_of(options))};
}

std::vector<BlockShape> load_shapes(const Safetensors& content, const ModelOptions& options,
                                    const std::string& where) {
  std::vector<BlockShape> shapes = whole_blocks(options);
  for (std::size_t l = 0; l < shapes.size(); ++l) {
    shapes[l] = load_shape(content, shapes[l], "layers." + std::to_string(l) + ".", where);
  }
  return shapes;
}

// The configuration that a checkpoint's metadata carries.
struct Configuration {
  ModelOptions model;
  TaskShape task;
  QuantOptions quant;
  FieldList list() {
    FieldList f;
    fields(f, model);
    fields(f, quant);
    f.section("task");
    f.add("inputs", task.inputs, "channels of the sequences").range(1, 65536);
    f.add("classes", task.classes, "classes").range(1, 65536);
    return f;
  }
};

// Before memory is taken for what a small file merely claims: the largest matrices are in it.
void require_enough_values(const Safetensors& content, const Configuration& configuration,
                           const std::vector<BlockShape>& shapes, const std::string& where) {
  const auto number = [](int value) { return static_cast<std::uint64_t>(value); };
  const ModelOptions& model = configuration.model;
  const std::uint64_t channels = number(model.channels);
  std::uint64_t least =
      channels * (number(configuration.task.inputs) + number(configuration.task.classes));
  for (const BlockShape& shape : shapes) least += channels * shape.size() + 2 * shape.modes();
  std::uint64_t found = 0;
  for (const auto& [name, tensor] : content.tensors) found += tensor.bytes.size() / sizeof(float);
  if (found >= least) return;
  fail(where, std::to_string(found) + " values, but a network of " + std::to_string(model.layers) +
                  " layers, " + std::to_string(channels) + " channels and " +
                  std::to_string(model.states) + " states has at least " + std::to_string(least));
}

}  // namespace

Network::Network(const ModelOptions& options, const TaskShape& task, std::uint64_t seed)
    : Network(options, task, whole_blocks(options), seed) {}

Network::Network(const ModelOptions& options, const TaskShape& task,
                 const std::vector<BlockShape>& shapes, std::uint64_t seed)
    : state_(std::make_unique<State>()) {
  validate(options);
  State& s = *state_;
  s.options = options;
  s.shapes = shapes;
  s.task = task;
  const auto inputs = static_cast<std::uint64_t>(task.inputs);
  const auto classes = static_cast<std::uint64_t>(task.classes);
  Builder build(s.parameters, seed);
  const double in = 1 / std::sqrt(static_cast<double>(inputs));
  const double out = 1 / std::sqrt(static_cast<double>(s.channels()));
  s.encoder = build.uniform("encoder.weight", {s.channels(), inputs}, ParameterGroup::kWeight, in);
  s.encoder_bias = build.uniform("encoder.bias", {s.channels()}, ParameterGroup::kNoDecay, in);
  const std::vector<std::complex<double>> poles =
      initial_poles(options.init, s.modes(), options.decay);
  for (std::size_t l = 0; l < static_cast<std::size_t>(options.layers); ++l) {
    s.blocks.push_back(add_block(s, l, poles, build));
    if (s.batch_norm()) {
      s.statistics.push_back(
          {std::vector<float>(s.linear_outputs(), 0), std::vector<float>(s.linear_outputs(), 1)});
    }
  }
  s.decoder =
      build.uniform("decoder.weight", {classes, s.channels()}, ParameterGroup::kWeight, out);
  s.decoder_bias = build.uniform("decoder.bias", {classes}, ParameterGroup::kNoDecay, out);
}

void Network::State::require_inputs(const Batch& batch) const {
  if (batch.channels == static_cast<std::size_t>(task.inputs)) return;
  fail("batch", std::to_string(batch.channels) + " channels, but the network has " +
                    std::to_string(task.inputs) + " inputs");
}

void Network::State::add_ranges() {
  Builder build(parameters, 0);
  const auto range = [&](const std::string& name) {
    return build.constant("range." + name, {1}, ParameterGroup::kRange, 0);
  };
  input_range = range("input");
  residual_range = range("residual");
  least_codes.assign(2 + 3 * blocks.size(), 0);
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    state_steps.emplace_back(shapes[l].modes(), 1.0f);
    const std::string at = "layers." + std::to_string(l) + ".";
    blocks[l].ssm_output = range(at + "ssm_output");
    blocks[l].activation = range(at + "activation");
    blocks[l].linear = range(at + "linear");
  }
}

// The frequencies of LegS take n^3 steps to find; nobody will look at them.
Network Network::unfilled(const ModelOptions& options, const TaskShape& task,
                          const std::vector<BlockShape>& shapes) {
  ModelOptions start = options;
  if (start.init == "legs") start.init = "lin";
  Network network(start, task, shapes, 0);
  network.state_->options = options;
  return network;
}

Network::~Network() = default;
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::Network(const Network& other) : state_(std::make_unique<State>(*other.state_)) {}
Network& Network::operator=(const Network& other) {
  if (this != &other) state_ = std::make_unique<State>(*other.state_);
  return *this;
}

const ModelOptions& Network::options() const { return state_->options; }
const TaskShape& Network::task() const { return state_->task; }
std::vector<Parameter>& Network::parameters() { return state_->parameters; }
const std::vector<Parameter>& Network::parameters() const { return state_->parameters; }
void Network::drop_rounding() { state_->quantized = false; }
bool Network::quantized() const { return state_->quantized; }
const QuantOptions& Network::quant_options() const { return state_->quant; }
const Network::State& Network::state() const { return *state_; }

std::size_t Network::parameter_count() const {
  std::size_t n = 0;
  for (const Parameter& p : parameters()) {
    if (p.group != ParameterGroup::kRange) n += p.value.size();
  }
  return n;
}

BatchResult Network::train_step(const Batch& batch, const LossOptions& loss, ThreadPool& pool) {
  state_->require_inputs(batch);
  const std::size_t logits = batch.count * static_cast<std::size_t>(task().classes);
  if (!loss.teacher.empty() && loss.teacher.size() != logits) {
    fail("teacher",
         std::to_string(loss.teacher.size()) + " logits, expected " + std::to_string(logits));
  }
  const TrainingStep step{loss.seed, loss.step};
  Coefficients coefficients = state_->coefficients(&step);
  return train_batch(*state_, coefficients, batch, loss, pool);
}

BatchResult Network::evaluate(const Batch& batch, ThreadPool& pool,
                              std::vector<float>* logits) const {
  state_->require_inputs(batch);
  return forward_batch(*state_, state_->deployed_coefficients(), batch, pool, logits);
}

void Network::fold_norms() {
  State& s = *state_;
  if (s.options.norm == "none") return;
  if (!s.batch_norm())
    fail("model.norm", "'" + s.options.norm + "' does not fold; use batch or none");
  const Coefficients c = s.coefficients();  // batch norm as an affine map
  ModelOptions options = s.options;
  options.norm = "none";
  Network folded = unfilled(options, s.task, s.shapes);
  if (s.quantized) {
    folded.state_->quant = s.quant;
    folded.state_->quantized = true;
    folded.state_->add_ranges();
    folded.state_->state_steps = s.state_steps;
    folded.state_->least_codes = s.least_codes;
  }
  for (Parameter& p : folded.parameters()) {
    const auto same = std::find_if(s.parameters.begin(), s.parameters.end(),
                                   [&](const Parameter& q) { return q.name == p.name; });
    p.value = same->value;
  }
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const std::size_t columns = s.shapes[l].size();
    const BlockParameters& p = folded.state_->blocks[l];
    std::vector<float>& weight = folded.parameters()[p.weight].value;
    std::vector<float>& bias = folded.parameters()[p.bias].value;
    for (std::size_t o = 0; o < bias.size(); ++o) {
      const float scale = c.blocks[l].norm_scale[o];
      for (std::size_t h = 0; h < columns; ++h) weight[o * columns + h] *= scale;
      bias[o] = scale * bias[o] + c.blocks[l].norm_shift[o];
    }
  }
  *this = std::move(folded);
}

Safetensors Network::to_tensors() const {
  const State& s = *state_;
  Configuration configuration{s.options, s.task, s.quant};
  Safetensors out;
  for (const Parameter& p : s.parameters) out.tensors[p.name] = Tensor::from(p.value, p.shape);
  const BlockShape whole = BlockShape::whole(s.channels(), s.modes());
  for (std::size_t l = 0; l < s.shapes.size(); ++l) {
    save_shape(s.shapes[l], whole, "layers." + std::to_string(l) + ".", out);
  }
  for (std::size_t l = 0; l < s.statistics.size(); ++l) {
    const Shape shape{s.linear_outputs()};
    out.tensors[statistic_name(l, "mean")] = Tensor::from(s.statistics[l].mean, shape);
    out.tensors[statistic_name(l, "variance")] = Tensor::from(s.statistics[l].variance, shape);
  }
  for (std::size_t l = 0; l < s.state_steps.size(); ++l) {
    out.tensors[state_step_name(l)] = Tensor::from(s.state_steps[l], mode_shape(s, l));
  }
  if (s.quantized) {
    const std::vector<float> least(s.least_codes.begin(), s.least_codes.end());
    out.tensors[kLeastCodes] = Tensor::from(least, {least.size()});
  }
  out.metadata["format"] = "crosstate network 2";
  out.metadata["network"] = configuration.list().to_json().dump();
  out.metadata["quantized"] = s.quantized ? "true" : "false";
  return out;
}

Network Network::from_tensors(const Safetensors& content, const std::string& where) {
  const auto entry = [&](const std::string& key) {
    const auto it = content.metadata.find(key);
    if (it == content.metadata.end())
      fail(where, "no '" + key + "' in the metadata: not a network of this program");
    return it->second;
  };
  if (entry("format") != "crosstate network 2") {
    fail(where, "format '" + excerpt(entry("format")) + "', expected 'crosstate network 2'");
  }
  const nlohmann::json values = nlohmann::json::parse(entry("network"), nullptr, false);
  if (!values.is_object()) fail(where, "metadata 'network' is not a JSON object");
  Configuration configuration;
  configuration.list().from_json(values, where);
  validate(configuration.model);
  const std::vector<BlockShape> shapes = load_shapes(content, configuration.model, where);
  require_enough_values(content, configuration, shapes, where);
  Network network = unfilled(configuration.model, configuration.task, shapes);
  State& s = *network.state_;
  const std::string quantized = entry("quantized");
  if (quantized != "true" && quantized != "false") {
    fail(where, "metadata 'quantized' is '" + excerpt(quantized) + "', expected 'true' or 'false'");
  }
  if (quantized == "true") {
    validate(configuration.quant);
    s.quant = resolved(configuration.quant);
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
  const auto require_above = [&](float bound, const std::vector<float>& v,
                                 const std::string& name) {
    for (const float x : v) {
      if (!(x > bound))
        fail(where,
             "tensor '" + name + "' holds " + std::to_string(x) + ", expected positive values");
    }
  };
  for (Parameter& p : s.parameters) p.value = load(p.name, p.shape);
  for (std::size_t l = 0; l < s.statistics.size(); ++l) {
    s.statistics[l].mean = load(statistic_name(l, "mean"), {s.linear_outputs()});
    s.statistics[l].variance = load(statistic_name(l, "variance"), {s.linear_outputs()});
    require_above(-1e-6f, s.statistics[l].variance, statistic_name(l, "variance"));
  }
  if (s.quantized) {
    const std::vector<float> least = load(kLeastCodes, {s.least_codes.size()});
    for (std::size_t i = 0; i < least.size(); ++i) {
      if (std::nearbyint(least[i]) != least[i] || std::abs(least[i]) >= kMostCodes) {
        fail(where, std::string("tensor '") + kLeastCodes + "' holds " + std::to_string(least[i]) +
                        ", expected whole numbers below 65536");
      }
      s.least_codes[i] = static_cast<int>(least[i]);
    }
  }
  for (std::size_t l = 0; l < s.state_steps.size(); ++l) {
    s.state_steps[l] = load(state_step_name(l), mode_shape(s, l));
    require_above(0, s.state_steps[l], state_step_name(l));
  }
  return network;
}

}  // namespace crosstate
