// The file of an integer network: there and back, and everything that may be wrong with it.
#include "crosstate/integer/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/integer/reference.h"
#include "crosstate/integer/testing.h"

namespace crosstate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(IntegerNetwork, SurvivesItsFile) {
  for (int number = 0; number < 25; ++number) {
    const Dataset set = integer_test::sequences(number);
    const IntegerNetwork network = integer_test::network(number, set);
    const std::string bytes = format_safetensors(to_tensors(network));
    const Safetensors content = parse_safetensors(bytes, "model");
    EXPECT_TRUE(is_integer_network(content));
    const IntegerNetwork again = integer_network_from(content, "model");
    EXPECT_EQ(format_safetensors(to_tensors(again)), bytes);
    ReferenceExecutor a(network), b(again);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(a.run(set.sequence(i), set.length_of(i)).scores,
                b.run(set.sequence(i), set.length_of(i)).scores);
    }
  }
}

TEST(IntegerNetwork, NamesWhatIsDamaged) {
  const Dataset set = integer_test::sequences(1);
  const Safetensors good = to_tensors(integer_test::network(1, set));
  const auto refused = [&](const std::function<void(Safetensors&)>& damage, const auto&... texts) {
    Safetensors bad = good;
    damage(bad);
    EXPECT_THAT([&] { integer_network_from(bad, "model.safetensors"); },
                ThrowsMessage<Error>(AllOf(HasSubstr("model.safetensors"), HasSubstr(texts)...)));
  };
  const auto with = [&](const std::string& key, const nlohmann::json& value) {
    return [=](Safetensors& bad) {
      nlohmann::json shape = nlohmann::json::parse(bad.metadata["integer"]);
      shape[nlohmann::json::json_pointer(key)] = value;
      bad.metadata["integer"] = shape.dump();
    };
  };
  refused([](Safetensors& bad) { bad.metadata["format"] = "crosstate integer network 9"; },
          "'crosstate integer network 1'");
  refused([](Safetensors& bad) { bad.metadata.erase("integer"); }, "no 'integer'");
  refused([](Safetensors& bad) { bad.metadata["integer"] = "[1"; }, "not a JSON object");
  refused(with("/channels", 0), "channels = 0, expected 1 to 65536");
  refused(with("/channels", -3), "channels = -3");
  refused(with("/channels", 1e30), "channels = 1e+30");
  refused(with("/channels", "four"), "channels = \"four\"");
  refused(with("/pooling", "sum"), "pooling = \"sum\"");
  refused(with("/gated", 1), "gated = 1");
  refused(with("/state/limit", 1000000), "limit = 1000000");
  refused(with("/input/scale", -1), "input", "scale = -1");
  refused(with("/layers", nlohmann::json::array()), "layers = []");
  refused(with("/layers/0/gate/low", 3), "layers[0].gate", "low = 3");
  refused(with("/classes", 5), "decoder.weight", "[4, 4], expected 'I16' [5, 4]");
  refused([](Safetensors& bad) { bad.tensors.erase("layers.0.C.real"); },
          "tensor 'layers.0.C.real' is missing");
  refused(
      [](Safetensors& bad) {
        auto& shift = bad.tensors["encoder.shift"];
        shift = Tensor::from(std::vector<std::int32_t>(shift.shape[0], 60), shift.shape);
      },
      "encoder.shift", "holds 60 at 0, expected 1 to 52");
  refused(
      [](Safetensors& bad) {
        auto& pole = bad.tensors["layers.0.A.real"];
        pole = Tensor::from(std::vector<std::int16_t>(pole.bytes.size() / 2, 16384), pole.shape);
      },
      "layers.0.A at 0 is not inside the unit circle");
}

TEST(IntegerNetwork, NeedsEverySiteRoundedAndNormsFolded) {
  const Dataset set = integer_test::sequences(1);
  QuantOptions format = uniform_bits(8);
  format.state.bits = 0;
  EXPECT_THAT([&] { to_integers(integer_test::rounded_network(1, set, format)); },
              ThrowsMessage<Error>(HasSubstr("quant.state.bits = 0 leaves")));
  ModelOptions o = integer_test::shape(1);
  o.norm = "batch";
  Network network = reference::random_network(o, integer_test::kTask);
  EXPECT_THAT([&] { to_integers(network); }, ThrowsMessage<Error>(HasSubstr("not quantized")));
  ThreadPool pool(1);
  const Batch batch = reference::batch_of(set);
  network.quantize({}, {&batch, 1}, pool);
  EXPECT_THAT([&] { to_integers(network); }, ThrowsMessage<Error>(HasSubstr("norm is 'batch'")));
  network.fold_norms();
  EXPECT_EQ(to_integers(network).classes, 4u);
}

}  // namespace
}  // namespace crosstate
