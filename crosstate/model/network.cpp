#include "crosstate/model/network.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/pass.h"

namespace crosstate::model {
namespace {

using Shape = std::vector<std::uint64_t>;

std::size_t elements(const Shape& shape) {
  std::size_t n = 1;
  for (const auto d : shape) n *= d;
  return n;
}

// Adds parameters in a fixed order and initialises each from its own random stream.
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

BlockParameters add_block(const Network::State& s, std::size_t layer,
                          const std::vector<std::complex<double>>& poles, Builder& build) {
  const std::string at = "layers." + std::to_string(layer) + ".";
  const BlockShape& shape = s.shapes[layer];
  const Shape per_mode = s.mode_shape(layer);
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
  if (s.options.norm != Norm::kNone) {
    const std::size_t rows = s.batch_norm() ? s.linear_outputs() : s.channels();
    p.gamma = build.constant(at + "norm.gamma", {rows}, ParameterGroup::kNoDecay, 1);
    p.beta = build.constant(at + "norm.beta", {rows}, ParameterGroup::kNoDecay, 0);
  }
  return p;
}

}  // namespace

Network::Network(const ModelOptions& options, const TaskShape& task, std::uint64_t seed)
    : Network(options, task, whole_shapes(options), seed) {}

Network::Network(const ModelOptions& options, const TaskShape& task,
                 const std::vector<BlockShape>& shapes, std::uint64_t seed)
    : state_(std::make_unique<State>()) {
  validate(options);
  State& s = *state_;
  s.options = options;
  s.shapes = shapes;
  s.task = task;
  const auto inputs = static_cast<std::uint64_t>(task.inputs);
  const auto outputs = static_cast<std::uint64_t>(task.outputs);
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
      build.uniform("decoder.weight", {outputs, s.channels()}, ParameterGroup::kWeight, out);
  s.decoder_bias = build.uniform("decoder.bias", {outputs}, ParameterGroup::kNoDecay, out);
}

std::vector<BlockShape> whole_shapes(const ModelOptions& options) {
  const int modes = options.modes == ModeKind::kComplex ? options.states / 2 : options.states;
  const BlockShape block = BlockShape::whole(static_cast<std::size_t>(options.channels),
                                             static_cast<std::size_t>(modes));
  return {static_cast<std::size_t>(options.layers), block};
}

std::vector<std::uint64_t> Network::State::mode_shape(std::size_t layer) const {
  if (shapes[layer] == BlockShape::whole(channels(), modes())) return {channels(), modes()};
  return {shapes[layer].modes()};
}

void Network::State::require_inputs(const data::Batch& batch) const {
  if (batch.channels != static_cast<std::size_t>(task.inputs)) {
    fail("batch", std::to_string(batch.channels) + " channels, but the network has " +
                      std::to_string(task.inputs) + " inputs");
  }
  const std::size_t told = batch.readout.outputs();
  if (told != 0 && told != static_cast<std::size_t>(task.outputs)) {
    fail("batch", "targets of " + std::to_string(told) + " outputs, but the network has " +
                      std::to_string(task.outputs));
  }
}

void Network::State::add_ranges() {
  Builder build(parameters, 0);
  const auto range = [&](const std::string& name) {
    return build.constant("range." + name, {1}, ParameterGroup::kRange, 0);
  };
  input_range = range("input");
  residual_range = range("residual");
  quant_mins.assign(2 + 3 * blocks.size(), 0);
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    state_steps.emplace_back(shapes[l].modes(), 1.0f);
    const std::string at = "layers." + std::to_string(l) + ".";
    blocks[l].ssm_output = range(at + "ssm_output");
    blocks[l].activation = range(at + "activation");
    blocks[l].linear = range(at + "linear");
  }
  const auto scale = [&](const std::string& name, const quant::WeightSite& site, std::size_t rows) {
    if (!site.learned) return std::size_t{0};
    const bool by_row = site.granularity == quant::Granularity::kChannel;
    return build.constant("scale." + name, {by_row ? rows : 1}, ParameterGroup::kRange, 0);
  };
  encoder_scale = scale("encoder", quant.encoder, channels());
  decoder_scale = scale("decoder", quant.decoder, static_cast<std::size_t>(task.outputs));
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const std::string at = "layers." + std::to_string(l) + ".";
    blocks[l].c_scale = scale(at + "C", quant.c, shapes[l].size());
    blocks[l].d_scale = scale(at + "D", quant.d, shapes[l].size());
    blocks[l].weight_scale = scale(at + "linear", quant.weight, linear_outputs());
  }
}

bool Network::State::trains(std::size_t index) const {
  if (parameters[index].group != ParameterGroup::kRange) return true;
  const auto learns = [&](std::size_t range, const auto& site) {
    return range == index && site.learned && site.bits != quant::kFloatBits;
  };
  const auto of_block = [&](const BlockParameters& p) {
    return learns(p.ssm_output, quant.ssm_output) || learns(p.activation, quant.activation) ||
           learns(p.linear, quant.linear) || learns(p.c_scale, quant.c) ||
           learns(p.d_scale, quant.d) || learns(p.weight_scale, quant.weight);
  };
  return learns(input_range, quant.input) || learns(residual_range, quant.residual) ||
         learns(encoder_scale, quant.encoder) || learns(decoder_scale, quant.decoder) ||
         std::any_of(blocks.begin(), blocks.end(), of_block);
}

bool Network::State::draws() const {
  if (options.dropout > 0) return true;
  if (!quantized) return false;
  const quant::ArraySite& array = quant.array;
  return quant.state.rounding == quant::StateRounding::kStochastic || quant.weight_noise > 0 ||
         quant.device_noise > 0 || array.levels > 1 || array.noise > 0 || array.state_noise > 0 ||
         array.noise_floor > 0;
}

// Computing the frequencies of LegS takes n^3 operations; skip it, since they will be replaced.
Network Network::unfilled(const ModelOptions& options, const TaskShape& task,
                          const std::vector<BlockShape>& shapes) {
  ModelOptions start = options;
  if (start.init == PoleStart::kLegs) start.init = PoleStart::kLin;
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
const quant::QuantOptions& Network::quant_options() const { return state_->quant; }
const Network::State& Network::state() const { return *state_; }

std::size_t Network::parameter_count() const {
  std::size_t n = 0;
  for (const Parameter& p : parameters()) {
    if (p.group != ParameterGroup::kRange) n += p.value.size();
  }
  return n;
}

namespace {

// Only the loss needs targets; calibration does not.
void require_scope(const data::Batch& batch, task::Scope scope) {
  if (batch.readout.outputs() == 0 || batch.readout.scope == scope) return;
  fail("batch", std::string("a target of every ") + batch.readout.unit() +
                    ", but the network's model.readout is \"" + name_of(scope) + '"');
}

}  // namespace

double Network::training_bytes(std::size_t count, std::size_t length) const {
  return model::training_bytes(*state_, count, length);
}

BatchResult Network::train_step(const data::Batch& batch, const LossOptions& loss,
                                ThreadPool& pool) {
  state_->require_inputs(batch);
  require_scope(batch, options().readout);
  if (batch.readout.outputs() == 0) fail("batch", "no targets, expected them for training");
  const std::size_t reads = options().readout == task::Scope::kStep ? batch.length : 1;
  const std::size_t logits = batch.count * reads * static_cast<std::size_t>(task().outputs);
  if (!loss.teacher.empty() && loss.teacher.size() != logits) {
    fail("teacher",
         std::to_string(loss.teacher.size()) + " logits, expected " + std::to_string(logits));
  }
  if (loss.stream_weight > 0) {
    if (loss.stream_teacher == nullptr) fail("teacher", "a weight of streams, but no network");
    loss.stream_teacher->state().require_inputs(batch);
    require_same_streams(*loss.stream_teacher);
  }
  const TrainingStep step{loss.seed, loss.step};
  Coefficients coefficients = state_->coefficients(&step);
  return train_batch(*state_, coefficients, batch, loss, pool);
}

void Network::require_same_streams(const Network& other) const {
  const ModelOptions &a = other.options(), &b = options();
  if (a.channels == b.channels && a.layers == b.layers) return;
  fail("teacher", "residual streams of " + std::to_string(a.channels) + " channels behind " +
                      std::to_string(a.layers) + " layers, expected " + std::to_string(b.channels) +
                      " behind " + std::to_string(b.layers));
}

BatchResult Network::evaluate(const data::Batch& batch, ThreadPool& pool,
                              std::vector<float>* logits) const {
  state_->require_inputs(batch);
  require_scope(batch, options().readout);
  return forward_batch(*state_, state_->deployed_coefficients(), batch, pool, logits);
}

void Network::fold_norms() {
  State& s = *state_;
  if (s.options.norm == Norm::kNone) return;
  if (!s.batch_norm())
    fail("model.norm", "'" + name_of(s.options.norm) +
                           "' is computed from the values of every step and cannot be folded into "
                           "the weights, as quantization needs; train with batch or none");
  const Coefficients c = s.coefficients();  // batch norm as an affine map
  ModelOptions options = s.options;
  options.norm = Norm::kNone;
  Network folded = unfilled(options, s.task, s.shapes);
  if (s.quantized) {
    folded.state_->quant = s.quant;
    folded.state_->quantized = true;
    folded.state_->add_ranges();
    folded.state_->state_steps = s.state_steps;
    folded.state_->quant_mins = s.quant_mins;
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

}  // namespace crosstate::model
