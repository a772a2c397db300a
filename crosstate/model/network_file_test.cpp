// Network::to_tensors() and from_tensors() with every kind of tensor that a file may hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class NetworkFile : public testing::Test {
 protected:
  // With norms, learned scales of weights, and blocks that lack modes and channels.
  Network rounded(int number = 0) {
    ModelOptions o = reference::small_options();
    const Norm norms[] = {Norm::kBatch, Norm::kLayer, Norm::kNone};
    o.norm = norms[number % 3];
    o.layers = 2;
    o.train_b = number % 2 == 0;
    if (number % 4 == 3) {
      o.modes = ModeKind::kReal;
      o.init = PoleStart::kReal;
    }
    const Network whole = reference::random_network(o, kTask);
    Network network = number % 2 == 1 ? whole : whole.part(reference::random_parts(whole, 1));
    quant::QuantOptions q = quant::quant_preset("w4a8s8");
    q.weight.learned = q.c.learned = q.encoder.learned = true;
    network.quantize(q, {&batch_, 1}, pool_);
    return network;
  }
  static std::string bytes(const Network& network) {
    return formats::format_safetensors(network.to_tensors());
  }
  static void expect_refused(const formats::Safetensors& content, const std::string& what,
                             const std::string& expectation) {
    EXPECT_THAT([&] { Network::from_tensors(content, "a.safetensors"); },
                ThrowsMessage<Error>(AllOf(testing::StartsWith("a.safetensors: "), HasSubstr(what),
                                           HasSubstr(expectation))));
  }
  // The settings in the metadata, changed.
  static formats::Safetensors edited(formats::Safetensors content,
                                     const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json settings = parse_json(content.metadata.at("network"));
    change(settings);
    content.metadata.at("network") = exact_json_text(settings);
    return content;
  }

  ThreadPool pool_{1};
  const data::Batch batch_ = reference::batch_of(reference::random_set(1, 19, 23, kTask, true));
};

TEST_F(NetworkFile, IsReadAsItWasWritten) {
  for (int number = 0; number < 8; ++number) {
    SCOPED_TRACE(number);
    Network network = rounded(number);
    // Not what any initialisation gives.
    Random random(1, Stream::kTest);
    for (Parameter& p : network.parameters()) {
      for (float& v : p.value) v += static_cast<float>(0.01 * random.normal());
    }
    const std::string written = bytes(network);
    Network back = Network::from_tensors(formats::parse_safetensors(written, "memory"), "memory");
    EXPECT_EQ(bytes(back), written);
    EXPECT_EQ(logits_of(back, batch_), logits_of(network, batch_));
    EXPECT_EQ(back.quant_options(), network.quant_options());
    ASSERT_EQ(back.parameters().size(), network.parameters().size());
    for (std::size_t p = 0; p < back.parameters().size(); ++p) {
      EXPECT_EQ(back.parameters()[p].name, network.parameters()[p].name);
      EXPECT_EQ(back.parameters()[p].value, network.parameters()[p].value);
    }
    // It can be trained further.
    const auto step = [&](Network& n) {
      return n.train_step(batch_, {.seed = 3, .step = 5}, pool_).loss;
    };
    EXPECT_EQ(step(back), step(network));
  }
}

// Settings whose decimal text does not end, and integers at the ends of their ranges.
TEST_F(NetworkFile, StoresSettingsExactly) {
  ModelOptions o = reference::small_options();
  o.dt_min = 1.0 / 30;
  o.dt_max = std::nextafter(0.1, 1);
  o.decay = 0.1 + 0.2;
  o.dropout = 2.0 / 7;
  o.block_length = 65536;
  o.norm = Norm::kNone;
  o.pooling = Pooling::kLast;
  Network network(o, kTask, 1);
  quant::QuantOptions q = quant::quant_preset("w4a8s8");
  q.input.range = quant::ActivationRange::kPercentile;
  q.input.percentile = 99 + 1.0 / 3;
  q.weight_noise = 1.0 / 49;
  q.chip_steps = 12;
  q.state.residue_bits = 5;
  q.state.residue = quant::ResidueRule::kByPole;
  q.straight_through = quant::StraightThrough::kPass;
  network.quantize(q, {&batch_, 1}, pool_);
  const Network back =
      Network::from_tensors(formats::parse_safetensors(bytes(network), "memory"), "memory");
  EXPECT_EQ(back.options().dt_min, o.dt_min);
  EXPECT_EQ(back.options().dt_max, o.dt_max);
  EXPECT_EQ(back.options().decay, o.decay);
  EXPECT_EQ(back.options().dropout, o.dropout);
  EXPECT_EQ(back.options().block_length, o.block_length);
  EXPECT_EQ(back.options().norm, o.norm);
  EXPECT_EQ(back.options().pooling, o.pooling);
  EXPECT_EQ(back.task().inputs, kTask.inputs);
  EXPECT_EQ(back.task().outputs, kTask.outputs);
  EXPECT_EQ(back.quant_options(), network.quant_options());
  EXPECT_EQ(back.quant_options().input.percentile, q.input.percentile);
  EXPECT_EQ(back.quant_options().weight_noise, q.weight_noise);
}

TEST_F(NetworkFile, NamesEveryTensorThatIsDamaged) {
  const formats::Safetensors good = rounded().to_tensors();
  std::size_t ranges = 0;
  for (const auto& [name, tensor] : good.tensors) {
    SCOPED_TRACE(name);
    if (name.ends_with(".modes") || name.ends_with(".channels")) continue;  // BlockShapeFile
    ranges += name.starts_with("range.") || name.starts_with("scale.") ? 1 : 0;
    formats::Safetensors bad = good;
    bad.tensors.erase(name);
    expect_refused(bad, "tensor '" + name + '\'', "missing");
    std::vector<float> values = tensor.floats(tensor.shape, name);
    const auto replace = [&](const formats::Tensor& by, const std::string& expectation) {
      bad.tensors[name] = by;
      expect_refused(bad, "tensor '" + name + '\'', expectation);
    };
    replace(formats::Tensor::from(std::vector<std::int32_t>(values.size()), tensor.shape), "F32");
    std::vector<std::uint64_t> shape = tensor.shape;
    shape.insert(shape.begin(), 1);
    replace(formats::Tensor::from(values, shape), "expected ");
    values.back() = -std::numeric_limits<float>::infinity();
    replace(formats::Tensor::from(values, tensor.shape),
            "-inf at " + std::to_string(values.size() - 1) + ", expected finite");
  }
  EXPECT_EQ(ranges, 2u + 3 * 2 + 1 + 1 + 2 * 2);  // ranges, least codes, learned scales
}

TEST_F(NetworkFile, NamesValuesThatItsFormatsExclude) {
  const formats::Safetensors good = rounded().to_tensors();
  const auto refused = [&](const std::string& name, float value, const std::string& expectation) {
    formats::Safetensors bad = good;
    formats::Tensor& tensor = bad.tensors.at(name);
    std::vector<float> values = tensor.floats(tensor.shape, name);
    values[0] = value;
    tensor = formats::Tensor::from(values, tensor.shape);
    expect_refused(bad, "tensor '" + name + "' holds " + std::to_string(value), expectation);
  };
  for (const float codes : {-127.5f, 65536.0f, -65536.0f, 3e38f}) {
    refused("range.least_codes", codes, "expected integers below 65536");
  }
  for (const float step : {0.0f, -0.0f, -1.0f}) {
    refused("layers.1.state_step", step, "expected positive values");
  }
  refused("layers.0.norm.variance", -0.5f, "expected positive values");
  refused("layers.0.norm.variance", -0.5f, " at 0, expected positive values or 0");
  formats::Safetensors constant = good;
  formats::Tensor& variance = constant.tensors.at("layers.0.norm.variance");
  std::vector<float> zeros(variance.shape[0], 0);  // of a channel that never changes
  variance = formats::Tensor::from(zeros, variance.shape);
  for (const float logit : logits_of(Network::from_tensors(constant, "memory"), batch_)) {
    EXPECT_TRUE(std::isfinite(logit));
  }
}

// 0 is a code of every site that is rounded, as executors and their certificates assume.
TEST_F(NetworkFile, HasACodeOfZeroAtEverySite) {
  const Network network = rounded();
  const formats::Safetensors good = network.to_tensors();
  const std::vector<int> least = network.state().quant_mins;
  const auto with = [&](std::size_t index, int value) {
    formats::Safetensors content = good;
    std::vector<float> values(least.begin(), least.end());
    values[index] = static_cast<float>(value);
    content.tensors.at("range.least_codes") = formats::Tensor::from(values, {values.size()});
    return content;
  };
  const std::size_t first = network.state().input_range;
  for (std::size_t i = 0; i < least.size(); ++i) {
    for (const int value : {1, 100, 60000, -256, -300, -60000}) {
      expect_refused(
          with(i, value),
          "tensor 'range.least_codes' holds " + std::to_string(value) + " at " + std::to_string(i),
          "expected -255 to 0, so that the 8-bit codes of '" +
              network.parameters()[first + i].name + "' include 0");
    }
    for (const int value : {-255, -128, -127, 0}) {
      EXPECT_EQ(Network::from_tensors(with(i, value), "memory").state().quant_mins[i], value);
    }
  }
  // Of a site that is not rounded, the value has no effect.
  Network floats = network;
  quant::QuantOptions format = network.quant_options();
  format.preset = "w4a0s8";
  format.input.bits = format.residual.bits = quant::kFloatBits;
  format.ssm_output.bits = format.activation.bits = format.linear.bits = quant::kFloatBits;
  floats.requantize(format, {&batch_, 1}, pool_);
  EXPECT_EQ(bytes(Network::from_tensors(floats.to_tensors(), "memory")), bytes(floats));
}

TEST_F(NetworkFile, IsRoundedOrNotAsItSays) {
  const Network network = rounded();
  formats::Safetensors content = network.to_tensors();
  content.metadata.at("quantized") = "false";
  const Network floats = Network::from_tensors(content, "memory");
  EXPECT_FALSE(floats.quantized());
  Network dropped = network;
  dropped.drop_rounding();
  EXPECT_EQ(logits_of(floats, batch_), logits_of(dropped, batch_));
  content = floats.to_tensors();
  content.metadata.at("quantized") = "true";
  expect_refused(content, "tensor 'range.", "missing");
  for (const char* text : {"", "True", "1", "true "}) {
    content.metadata.at("quantized") = text;
    expect_refused(content, std::string("'quantized' is '") + text + '\'',
                   "expected 'true' or 'false'");
  }
}

TEST_F(NetworkFile, NamesSettingsThatItsProgramRefuses) {
  const formats::Safetensors good = rounded().to_tensors();
  const auto refused = [&](const std::string& section, const std::string& key,
                           const nlohmann::json& value, const std::string& expectation) {
    const auto change = [&](nlohmann::json& settings) { settings[section][key] = value; };
    expect_refused(edited(good, change), key, expectation);
  };
  refused("model", "states", 5, "even");
  refused("model", "states", 0, "1");
  refused("model", "dt_min", 0.75, "dt_max");
  refused("model", "gate", "open", "sigmoid");
  refused("model", "layers", 1.5, "integer");
  refused("task", "inputs", 70000, "65536");
  refused("task", "input", 2, "unknown");
  refused("quant", "preset", "w99a8s8", "w99a8s8");
  expect_refused(edited(good, [](auto& s) { s["quants"]["preset"] = "w8a8s8"; }), "[quants]",
                 "[quant]");
  expect_refused(edited(good, [](auto& s) { s["quant"]["state"]["bits"] = 1; }), "quant.state.bits",
                 "1");
  expect_refused(edited(good, [](auto& s) { s["quant"]["weight"]["learned"] = "yes"; }),
                 "quant.weight.learned", "true");
  for (const char* text : {"", "[]", "3", "{\"model\":", "null"}) {
    formats::Safetensors bad = good;
    bad.metadata.at("network") = text;
    expect_refused(bad, "'network'", "not a JSON object");
  }
  expect_refused(edited(good, [](auto& s) { s["model"] = 3; }), "model", "section");
}

// Sizes that a file only claims are refused before memory is allocated for them.
TEST_F(NetworkFile, HoldsAsManyValuesAsItsSizesNeed) {
  ModelOptions o = reference::small_options();
  o.channels = o.layers = o.states = 1;
  o.modes = ModeKind::kReal;
  o.init = PoleStart::kReal;
  o.norm = Norm::kNone;
  o.gate = Gate::kNone;
  const formats::Safetensors least = Network(o, {1, 1}, 1).to_tensors();
  EXPECT_EQ(Network::from_tensors(least, "memory").parameter_count(), 10u);
  formats::Safetensors empty = least;
  empty.tensors.clear();
  expect_refused(empty, "0 values", "1 channels and 1 states has at least 5");
  const auto claim = [&](const std::string& key, int value) {
    return edited(least, [&](nlohmann::json& settings) {
      settings[key == "classes" || key == "inputs" ? "task" : "model"][key] = value;
    });
  };
  expect_refused(claim("layers", 64), "10 values", "64 layers");
  expect_refused(claim("channels", 4096), "10 values", "4096 channels");
  expect_refused(claim("states", 4096), "10 values", "4096 states");
  expect_refused(claim("inputs", 65536), "10 values", "at least 65540");
  expect_refused(claim("classes", 65536), "10 values", "at least 65540");
}

TEST_F(NetworkFile, LeavesAloneWhatItDoesNotKnow) {
  const Network network = rounded();
  formats::Safetensors content = network.to_tensors();
  content.tensors["permutation"] = formats::Tensor::from(std::vector<std::int32_t>{1, 0}, {2});
  content.metadata["task"] = "classification";
  EXPECT_EQ(bytes(Network::from_tensors(content, "memory")), bytes(network));
}

}  // namespace
}  // namespace crosstate::model
