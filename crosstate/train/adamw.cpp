#include "crosstate/train/adamw.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "crosstate/base/error.h"

namespace crosstate::train {
namespace {

constexpr const char* kFirst = "optimizer.m.";
constexpr const char* kSecond = "optimizer.v.";
constexpr const char* kSteps = "optimizer.steps";
constexpr const char* kStarted = "optimizer.started.";

double rate_of(model::ParameterGroup group, const AdamWOptions& options) {
  switch (group) {
    case model::ParameterGroup::kRecurrence:
      return options.recurrence_rate;
    case model::ParameterGroup::kRange:
      return options.range_rate;
    case model::ParameterGroup::kWeight:
    case model::ParameterGroup::kNoDecay:
      break;
  }
  return options.learning_rate;
}

// Reads a tensor of finite values, none of them below `lowest`.
std::vector<float> moments(const formats::Safetensors& content, const std::string& name,
                           const model::Parameter& parameter, float lowest,
                           const std::string& where) {
  const auto found = content.tensors.find(name);
  if (found == content.tensors.end()) fail(where, "no tensor '" + name + "'");
  std::vector<float> values = found->second.floats(parameter.shape, where + ": '" + name + "'");
  for (const float value : values) {
    if (std::isfinite(value) && value >= lowest) continue;
    fail(where, "tensor '" + name + "' holds " + std::to_string(value) +
                    ", which the optimiser cannot have produced");
  }
  return values;
}

std::uint64_t saved_steps(const formats::Safetensors& content, const std::string& key,
                          const std::string& where) {
  const auto found = content.metadata.find(key);
  if (found == content.metadata.end()) fail(where, "no metadata '" + key + "'");
  const std::string& text = found->second;
  std::uint64_t steps = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
  if (error != std::errc{} || end != text.data() + text.size()) {
    fail(where, "metadata '" + key + "' is not an integer number of steps");
  }
  return steps;
}

}  // namespace

AdamW::AdamW(const std::vector<model::Parameter>& parameters, const AdamWOptions& options)
    : options_(options), started_(parameters.size(), 0) {
  for (const model::Parameter& parameter : parameters) {
    first_.emplace_back(parameter.value.size());
    second_.emplace_back(parameter.value.size());
  }
}

void AdamW::step(std::vector<model::Parameter>& parameters, double rate_share,
                 double gradient_scale) {
  ++steps_;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const auto count = static_cast<double>(steps_ - started_[p]);
    const double correction1 = 1 - std::pow(options_.beta1, count);
    const double correction2 = 1 - std::pow(options_.beta2, count);
    model::Parameter& parameter = parameters[p];
    const double rate = rate_share * rate_of(parameter.group, options_);
    const bool decays = parameter.group == model::ParameterGroup::kWeight;
    const double keep = decays ? 1 - rate * options_.weight_decay : 1;
    std::vector<float>& first = first_[p];
    std::vector<float>& second = second_[p];
    for (std::size_t i = 0; i < parameter.value.size(); ++i) {
      const double gradient = parameter.gradient[i] * gradient_scale;
      const double m = options_.beta1 * first[i] + (1 - options_.beta1) * gradient;
      const double v = options_.beta2 * second[i] + (1 - options_.beta2) * gradient * gradient;
      first[i] = static_cast<float>(m);
      second[i] = static_cast<float>(v);
      const double move = m / correction1 / (std::sqrt(v / correction2) + options_.epsilon);
      parameter.value[i] = static_cast<float>(keep * parameter.value[i] - rate * move);
    }
  }
}

void AdamW::restart(std::size_t parameter) {
  std::fill(first_[parameter].begin(), first_[parameter].end(), 0.0f);
  std::fill(second_[parameter].begin(), second_[parameter].end(), 0.0f);
  started_[parameter] = steps_;
}

void AdamW::save(const std::vector<model::Parameter>& parameters,
                 formats::Safetensors& content) const {
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const model::Parameter& parameter = parameters[p];
    content.tensors[kFirst + parameter.name] = formats::Tensor::from(first_[p], parameter.shape);
    content.tensors[kSecond + parameter.name] = formats::Tensor::from(second_[p], parameter.shape);
    if (started_[p] > 0) {
      content.metadata[kStarted + parameter.name] = std::to_string(started_[p]);
    }
  }
  content.metadata[kSteps] = std::to_string(steps_);
}

void AdamW::load(const std::vector<model::Parameter>& parameters,
                 const formats::Safetensors& content, const std::string& where) {
  const std::uint64_t steps = saved_steps(content, kSteps, where);
  std::vector<std::vector<float>> first, second;
  std::vector<std::uint64_t> started;
  for (const model::Parameter& parameter : parameters) {
    constexpr float kLowest = std::numeric_limits<float>::lowest();
    first.push_back(moments(content, kFirst + parameter.name, parameter, kLowest, where));
    second.push_back(moments(content, kSecond + parameter.name, parameter, 0, where));
    const std::string key = kStarted + parameter.name;
    started.push_back(content.metadata.contains(key) ? saved_steps(content, key, where) : 0);
    if (started.back() > steps) {
      fail(where, "metadata '" + key + "' is " + std::to_string(started.back()) +
                      ", after the last of " + std::to_string(steps) + " steps");
    }
  }
  steps_ = steps;
  started_ = std::move(started);
  first_ = std::move(first);
  second_ = std::move(second);
}

double gradient_norm(const std::vector<model::Parameter>& parameters) {
  double sum = 0;
  for (const model::Parameter& parameter : parameters) {
    for (double gradient : parameter.gradient) sum += gradient * gradient;
  }
  return std::sqrt(sum);
}

}  // namespace crosstate::train
