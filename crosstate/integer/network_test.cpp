// The file of an integer network: round trip, and all possible errors.
#include "crosstate/integer/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/integer/reference.h"
#include "crosstate/integer/testing.h"

namespace crosstate::integer {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(IntegerNetwork, SurvivesItsFile) {
  for (int number = 0; number < 25; ++number) {
    const data::Dataset set = fixtures::sequences(number);
    const IntegerNetwork network = fixtures::network(number, set);
    const std::string bytes = formats::format_safetensors(to_tensors(network));
    const formats::Safetensors content = formats::parse_safetensors(bytes, "model");
    EXPECT_TRUE(is_integer_network(content));
    const IntegerNetwork again = integer_network_from(content, "model");
    EXPECT_EQ(formats::format_safetensors(to_tensors(again)), bytes);
    EXPECT_EQ(again.scheme, network.scheme);
    ReferenceExecutor a(network), b(again);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(a.run(set.sequence(i), set.length_of(i)).scores,
                b.run(set.sequence(i), set.length_of(i)).scores);
    }
  }
}

// As in files of earlier versions.
TEST(IntegerNetwork, MayLackItsScheme) {
  IntegerNetwork network = fixtures::network(1, fixtures::sequences(1));
  ASSERT_TRUE(network.scheme);
  network.scheme.reset();
  EXPECT_FALSE(integer_network_from(to_tensors(network), "model").scheme);
}

TEST(IntegerNetwork, NamesWhatIsDamaged) {
  const data::Dataset set = fixtures::sequences(1);
  const formats::Safetensors good = to_tensors(fixtures::network(1, set));
  const auto refused = [&](const std::function<void(formats::Safetensors&)>& damage,
                           const auto&... texts) {
    formats::Safetensors bad = good;
    damage(bad);
    EXPECT_THAT([&] { integer_network_from(bad, "model.safetensors"); },
                ThrowsMessage<Error>(AllOf(HasSubstr("model.safetensors"), HasSubstr(texts)...)));
  };
  const auto with = [&](const std::string& key, const nlohmann::json& value) {
    return [=](formats::Safetensors& bad) {
      nlohmann::json shape = parse_json(bad.metadata["integer"]);
      shape[nlohmann::json::json_pointer(key)] = value;
      bad.metadata["integer"] = exact_json_text(shape);
    };
  };
  refused([](formats::Safetensors& bad) { bad.metadata["format"] = "crosstate integer network 4"; },
          "format 'crosstate integer network 4', expected 'crosstate integer network 3' or a "
          "version from 1: it was written by a newer version of crosstate");
  refused([](formats::Safetensors& bad) { bad.metadata["format"] = "crosstate network 2"; },
          "format 'crosstate network 2', expected 'crosstate integer network 3'");
  refused([](formats::Safetensors& bad) { bad.metadata.erase("format"); }, "no 'format'");
  refused([](formats::Safetensors& bad) { bad.metadata.erase("integer"); }, "no 'integer'");
  refused([](formats::Safetensors& bad) { bad.metadata["integer"] = "[1]"; }, "not a JSON object");
  refused([](formats::Safetensors& bad) { bad.metadata["integer"] = "[1"; }, "not valid JSON");
  refused([](formats::Safetensors& bad) { bad.metadata["integer"] = "{\"inputs\": 1e999}"; },
          "too large");
  refused(with("/channels", 0), "channels = 0, expected 1 to 65536");
  refused(with("/channels", -3), "channels = -3");
  refused(with("/channels", 1e30), "channels = 1e+30");
  refused(with("/channels", "four"), "channels = \"four\"");
  refused(with("/pooling", "sum"), "pooling = \"sum\"");
  refused(with("/gated", 1), "gated = 1");
  refused(with("/state/limit", 1000000), "limit = 1000000");
  // Below 2^-126 binary32 is subnormal, below 2^-128 the inverse is infinite.
  for (const double scale : {-1.0, 0.0, 1e-40, 1e-38, 1e-300, 8.6e37, 1e39, 1e300}) {
    for (const char* format : {"input", "residual", "layers/0/gate"}) {
      refused(with(std::string("/") + format + "/scale", scale), "scale = ", "2^-126 to 2^126");
    }
  }
  refused(with("/input/scale", nullptr), "input", "scale = null");
  refused(with("/input", {{"low", 0}, {"high", 0}, {"scale", 1}}), "input", "two codes");
  refused(with("/score_steps", 63), "score_steps = 63, expected -16 to 62");
  refused(with("/score_steps", 1.5), "score_steps = 1.5");
  refused(with("/layers", nlohmann::json::array()), "layers = []");
  refused(with("/scheme", 3), "scheme", "not a JSON object");
  refused(with("/scheme", nlohmann::json::object()), "scheme", "model.parameters");
  refused(with("/scheme/quant/c/scales", "pow3"), "scheme", "quant.c.scales", "pow2");
  refused(with("/scheme/quant/c/sclaes", "pow2"), "scheme", "quant.c.sclaes");
  refused(with("/scheme/model/activation", "gulu"), "scheme", "gulu", "gelu");
  refused(with("/layers/0/gate/low", 3), "layers[0].gate", "low = 3");
  refused(with("/state/residue", 3), "'integer'.state", "unknown key 'residue'");
  refused(with("/score_step", 3), "metadata 'integer': unknown key 'score_step'");
  refused(with("/input/zero_point", 3), "'integer'.input", "unknown key 'zero_point'");
  refused(with("/layers/1/bits", 3), "layers[1]: unknown key 'bits'");
  refused(
      [](formats::Safetensors& bad) {
        bad.tensors["layers.1.residue_bits"] =
            formats::Tensor::from(std::vector<std::int32_t>{4}, {1});
      },
      "tensor 'layers.1.residue_bits' beside state.rounding = \"nearest\"");
  refused(with("/classes", 5), "decoder.weight", "[4, 4], expected 'I16' [5, 4]");
  refused([](formats::Safetensors& bad) { bad.tensors.erase("layers.0.C.real"); },
          "tensor 'layers.0.C.real' is missing");
  refused(
      [](formats::Safetensors& bad) {
        auto& shift = bad.tensors["encoder.shift"];
        shift = formats::Tensor::from(std::vector<std::int32_t>(shift.shape[0], 60), shift.shape);
      },
      "encoder.shift", "holds 60 at 0, expected 1 to 52");
  refused(
      [](formats::Safetensors& bad) {
        auto& pole = bad.tensors["layers.0.A.real"];
        pole = formats::Tensor::from(std::vector<std::int16_t>(pole.bytes.size() / 2, 16384),
                                     pole.shape);
      },
      "layers.0.A at 0 is not inside the unit circle");
}

TEST(IntegerNetwork, RefusesResiduesThatItsVersionLacks) {
  formats::Safetensors content = to_tensors(fixtures::network(1, fixtures::sequences(1)));
  nlohmann::json shape = parse_json(content.metadata["integer"]);
  shape["state"]["rounding"] = "feedback";
  content.metadata["integer"] = exact_json_text(shape);
  EXPECT_EQ(integer_network_from(content, "model").state_rounding,
            kernels::RoundingMode::kNoiseShaped);
  content.tensors["layers.0.residue_bits"] =
      formats::Tensor::from(std::vector<std::int32_t>{4}, {1});
  EXPECT_THAT([&] { integer_network_from(content, "model"); },
              ThrowsMessage<Error>(HasSubstr("model: tensor 'layers.0.residue_bits' in a file of "
                                             "version 2, whose states all have a residue of 14")));
}

// docs/arithmetic.md guarantees that everything that can be read fits in 64 bits.
TEST(IntegerNetwork, RefusesWhatNeedsMoreThan64Bits) {
  const data::Dataset set = fixtures::sequences(1);
  const IntegerNetwork good = fixtures::network(1, set);
  ASSERT_TRUE(good.gated);
  const auto refused = [&](const std::function<void(IntegerNetwork&)>& damage,
                           const auto&... texts) {
    IntegerNetwork bad = good;
    damage(bad);
    for (const char* version : {"1", "2"}) {
      formats::Safetensors content = to_tensors(bad);
      content.metadata["format"] = std::string("crosstate integer network ") + version;
      if (version == std::string("1")) content = fixtures::in_version_one(content);
      EXPECT_THAT([&] { integer_network_from(content, "model"); },
                  ThrowsMessage<Error>(AllOf(HasSubstr("model: tensor"), HasSubstr("64 bits"),
                                             HasSubstr(texts)...)));
    }
  };
  constexpr std::int64_t kBias = std::int64_t{1} << 46;
  constexpr std::int32_t kFirst = 1 << 24;
  refused(
      [&](IntegerNetwork& n) {
        n.encoder.bias[1] = -kBias;
        n.encoder_codes.first[1] = kFirst;
      },
      "'encoder.bias' holds -70368744177664 at 1");
  refused(
      [&](IntegerNetwork& n) {
        n.blocks[0].linear_map.bias[5] = kBias;
        n.blocks[0].linear_codes.first[5] = -kFirst;
      },
      "'layers.0.linear.bias' holds 70368744177664 at 5");
  refused(
      [&](IntegerNetwork& n) {
        n.decoder.bias[3] = kBias;
        n.scores.first[3] = kFirst;
        n.score_steps = 0;
      },
      "'decoder.bias' holds 70368744177664 at 3");
  // No bias, but wide codes with the largest weights.
  refused(
      [&](IntegerNetwork& n) {
        n.gated = false;
        IntegerBlock& b = n.blocks[0];
        b.gate_table.clear();
        b.linear_codes = {};
        b.shape = model::BlockShape::whole(n.channels = 400, n.modes = 1);
        b.activation = {-65535, 65535, 1};
        b.linear_map.bits = n.encoder.bits = n.decoder.bits = 16;
        const auto matrix = [](IntegerMatrix& m, std::size_t rows, std::size_t columns) {
          m.rows = rows;
          m.columns = columns;
          m.weight.assign(rows * columns, 32767);
          m.bias.assign(rows, 0);
        };
        matrix(b.linear_map, n.channels, n.channels);
        matrix(n.encoder, n.channels, n.inputs);
        matrix(n.decoder, n.outputs, n.channels);
        const auto factors = [&](Requantizer& r) {
          r.first.assign(n.channels, 1);
          r.second.assign(n.channels, 1);
          r.shift.assign(n.channels, 1);
        };
        factors(b.output);
        factors(b.sum);
        factors(n.encoder_codes);
        b.sum.first.back() = kFirst;
        for (auto* v : {&b.ar, &b.ai, &b.cr, &b.ci, &b.d}) v->assign(n.channels, 0);
        b.input_shift.assign(n.channels, 0);
        n.blocks.resize(1);
      },
      "'layers.0.sum.first' holds 16777216 at 399");
}

// Version 1 has neither early shifts nor score_steps.
TEST(IntegerNetwork, ReadsVersionOneAsItWas) {
  for (int number = 0; number < 10; ++number) {
    const data::Dataset set = fixtures::sequences(number);
    const IntegerNetwork network =
        fixtures::network(number, set, fixtures::format(number, number % 3 != 2));
    formats::Safetensors content = to_tensors(network);
    EXPECT_EQ(content.metadata["format"], "crosstate integer network 2");
    content = fixtures::in_version_one(content);
    content.tensors["encoder.early"] = formats::Tensor::from(std::vector<std::int32_t>{7}, {1});
    const IntegerNetwork old = integer_network_from(content, "model");
    EXPECT_EQ(old.score_steps, IntegerNetwork::kEveryLength);
    EXPECT_TRUE(old.encoder_codes.early.empty());
    ReferenceExecutor a(network), b(old);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(a.run(set.sequence(i), set.length_of(i)).scores,
                b.run(set.sequence(i), set.length_of(i)).scores);
    }
    content.metadata["format"] = "crosstate integer network 2";
    EXPECT_THAT([&] { integer_network_from(content, "model"); },
                ThrowsMessage<Error>(HasSubstr("no 'score_steps'")));
  }
}

TEST(IntegerNetwork, SumsOverLongSequencesLosePlacesBeforeTheirProducts) {
  IntegerNetwork n;
  n.score_steps = 6;
  EXPECT_EQ(n.early_score_shift(1), 0);
  EXPECT_EQ(n.early_score_shift(64), 0);
  EXPECT_EQ(n.early_score_shift(65), 1);
  EXPECT_EQ(n.early_score_shift(128), 1);
  EXPECT_EQ(n.early_score_shift(784), 4);
  n.score_steps = -3;
  EXPECT_EQ(n.early_score_shift(1), 3);
  EXPECT_EQ(n.early_score_shift(2), 4);
  n.score_steps = IntegerNetwork::kEveryLength;
  EXPECT_EQ(n.early_score_shift(std::int64_t{1} << 36), 0);
}

TEST(IntegerNetwork, RoundsShiftsUpwardsAtTies) {
  EXPECT_EQ(shifted(6, 2), 2);
  EXPECT_EQ(shifted(-6, 2), -1);
  EXPECT_EQ(shifted(5, 2), 1);
  EXPECT_EQ(shifted(-5, 2), -1);
  EXPECT_EQ(shifted(-7, 2), -2);
  EXPECT_EQ(shifted(-7, 0), -7);
}

// A 16-bit network computes the same logits whether its scores are shifted or not, up to the
// precision lost by shifting.
TEST(IntegerNetwork, EarlyShiftsHardlyChangeLogits) {
  const data::Dataset set = fixtures::sequences(1);
  const IntegerNetwork network = fixtures::network(1, set, quant::uniform_bits(16));
  IntegerNetwork shifting = network;
  shifting.score_steps = -4;
  ASSERT_GE(network.score_steps, 6);
  for (std::size_t i = 0; i < set.count; ++i) {
    const auto a = ReferenceExecutor(network).run(set.sequence(i), set.length_of(i)).logits();
    const auto b = ReferenceExecutor(shifting).run(set.sequence(i), set.length_of(i)).logits();
    for (std::size_t k = 0; k < a.size(); ++k) EXPECT_NEAR(a[k], b[k], 1e-5);
  }
}

TEST(IntegerNetwork, NeedsEverySiteRoundedAndNormsFolded) {
  const data::Dataset set = fixtures::sequences(1);
  quant::QuantOptions format = quant::uniform_bits(8);
  format.state.bits = 0;
  EXPECT_THAT([&] { to_integers(fixtures::rounded_network(1, set, format)); },
              ThrowsMessage<Error>(HasSubstr("quant.state.bits = 0 leaves")));
  model::ModelOptions o = fixtures::shape(1);
  o.norm = model::Norm::kBatch;
  model::Network network = model::reference::random_network(o, fixtures::kTask);
  EXPECT_THAT([&] { to_integers(network); }, ThrowsMessage<Error>(HasSubstr("not quantized")));
  ThreadPool pool(1);
  const data::Batch batch = model::reference::batch_of(set);
  network.quantize({}, {&batch, 1}, pool);
  EXPECT_THAT([&] { to_integers(network); }, ThrowsMessage<Error>(HasSubstr("norm is 'batch'")));
  network.fold_norms();
  EXPECT_EQ(to_integers(network).outputs, 4u);
}

}  // namespace
}  // namespace crosstate::integer
