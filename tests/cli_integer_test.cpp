// Integer networks on the command line: files that do not fit in 64 bits, sequences that are too
// long for a network, and conversion of quantized models.
#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "crosstate/integer/testing.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CliIntegers : public Cli {
 protected:
  // The file of another network: `change` modifies its integers.
  template <class Change>
  std::string changed(const std::string& from, const std::string& name, Change change) const {
    formats::Safetensors content = formats::read_safetensors(from);
    integer::IntegerNetwork network = integer::integer_network_from(content, from);
    change(network);
    const formats::Safetensors with = integer::to_tensors(network);
    for (const auto& [key, tensor] : with.tensors) content.tensors[key] = tensor;
    for (const auto& [key, text] : with.metadata) content.metadata[key] = text;
    formats::write_safetensors(path(name), content);
    return path(name);
  }

  // Commands that run or read an integer network.
  std::vector<std::vector<std::string>> commands(const std::string& model) const {
    return {{"eval", model},   {"simulate", model, "--out", path("chips"), "--chips", "1"},
            {"cost", model},   {"deploy", model, "--out", path("chip")},
            {"stream", model}, {"info", model}};
  }
};

TEST_F(CliIntegers, OfSixteenBitsRunWholeSequences) {
  const std::string out = path("out"), model = out + "/qat.integer.safetensors";
  ASSERT_EQ(call(tiny("train", out, {"--set", "quant.preset=w16a16s16"})).code, 0);
  const json info = parse_json(call({"info", model, "--json", "-"}).out);
  EXPECT_GE(info["certificate"]["longest_sequence"], 1'000'000);
  const auto accuracy = [&](const std::string& file, const std::string& backend) {
    const Result result = call({"eval", file, "--backend", backend, "--json", "-", "--set",
                                "data.test_limit=64", "--predictions", path(backend + ".csv")});
    EXPECT_EQ(result.code, 0) << result.err;
    return result.code == 0 ? parse_json(result.out)["correct"].get<int>() : -1;
  };
  const int fake = accuracy(out + "/qat.safetensors", "fake");
  EXPECT_NEAR(accuracy(out + "/qat.safetensors", "integer"), fake, 1);
  const std::string predictions = read_file(path("integer.csv"));
  EXPECT_NEAR(accuracy(model, "integer"), fake, 1);
  EXPECT_EQ(read_file(path("integer.csv")), predictions);
  accuracy(model, "reference");
  EXPECT_EQ(read_file(path("reference.csv")), predictions);

  // As in files of version 1: scores are never shifted.
  const std::string old = changed(model, "old.integer.safetensors", [](integer::IntegerNetwork& n) {
    n.score_steps = integer::IntegerNetwork::kEveryLength;
    n.decoder.bias[0] = std::int64_t{1} << 33;
    n.scores.first[0] = 1 << 23;
  });
  formats::write_safetensors(old,
                             integer::fixtures::in_version_one(formats::read_safetensors(old)));
  const json certificate = parse_json(call({"info", old, "--json", "-"}).out)["certificate"];
  const int longest = certificate["longest_sequence"];
  ASSERT_LT(longest, 784);
  const std::string proven = "up to " + std::to_string(longest) + " steps";
  for (const std::vector<std::string>& command : commands(old)) {
    if (command[0] == "info" || command[0] == "stream") continue;
    expect_refused(command, {"old.integer.safetensors", "64 bits", proven, "784"});
  }
  EXPECT_FALSE(fs::exists(path("chip")));
  const Result described = call({"info", old});
  EXPECT_THAT(described.out, HasSubstr("in sequences of " + proven));
  EXPECT_THAT(described.out, HasSubstr("--data with sequences that fit"));
  std::string samples;
  for (int t = 0; t < longest + 1; ++t) samples += "0.5\n";
  write("stdin.txt", samples);
  const Result streamed = call({"stream", old});
  EXPECT_EQ(streamed.code, 2);
  EXPECT_THAT(streamed.err, HasSubstr("old.integer.safetensors: "));
  EXPECT_THAT(streamed.err, HasSubstr("sequence 1 of standard input has more than " +
                                      std::to_string(longest) + " steps"));
}

TEST_F(CliIntegers, ThatDoNotFit64BitsAreRefused) {
  const std::string shipped = CROSSTATE_SOURCE_DIR "/models/smnist.integer.safetensors";
  const std::string wide = changed(shipped, "wide.safetensors", [](integer::IntegerNetwork& n) {
    n.blocks[1].linear_map.bias[2] = std::int64_t{1} << 46;
    n.blocks[1].linear_codes.first[2] = 1 << 24;
  });
  const std::string fine = changed(shipped, "fine.safetensors",
                                   [](integer::IntegerNetwork& n) { n.input.scale = 1e-40; });
  write("stdin.txt", "0.5\n");
  for (const std::vector<std::string>& command : commands(wide)) {
    expect_refused(command,
                   {"wide.safetensors: tensor 'layers.1.linear.bias' holds 70368744177664 at 2"});
  }
  for (const std::vector<std::string>& command : commands(fine)) {
    expect_refused(command, {"fine.safetensors", "input: scale = 1e-40", "2^-126"});
  }
}

TEST_F(CliIntegers, StreamOnlyWithANameForEachClass) {
  const std::string shipped = CROSSTATE_SOURCE_DIR "/models/smnist.integer.safetensors";
  formats::Safetensors content = formats::read_safetensors(shipped);
  content.metadata["classes"] = R"(["a","b"])";
  formats::write_safetensors(path("named.safetensors"), content);
  write("stdin.txt", "0.5\n");
  expect_refused({"stream", path("named.safetensors")},
                 {"named.safetensors", "names 2 classes", "has 10"});
}

TEST_F(CliIntegers, AreMadeOfAQuantizedModel) {
  const std::string out = path("out"), integers = out + "/qat.integer.safetensors";
  ASSERT_EQ(call(tiny("train", out)).code, 0);
  const std::string trained = read_file(integers);
  fs::remove(integers);
  const Result result = call({"convert", out + "/qat.safetensors"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("qat.integer.safetensors: integer network"));
  EXPECT_TRUE(read_file(integers) == trained);
  // Again, and to an explicit file name.
  EXPECT_EQ(call({"convert", out + "/qat.safetensors"}).code, 0);
  const Result named =
      call({"convert", out + "/qat.safetensors", "--out", path("own.safetensors"), "--json", "-"});
  ASSERT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(parse_json(named.out)["file"], path("own.safetensors"));
  EXPECT_TRUE(read_file(path("own.safetensors")) == trained);

  expect_refused({"convert", out + "/ptq.safetensors", "--out", integers},
                 {"qat.integer.safetensors", "another network", "--overwrite"});
  EXPECT_TRUE(read_file(integers) == trained);
  EXPECT_EQ(
      call({"convert", out + "/ptq.safetensors", "--out", path("own.safetensors"), "--overwrite"})
          .code,
      0);
  EXPECT_FALSE(read_file(path("own.safetensors")) == trained);
  expect_refused(
      {"convert", out + "/qat.safetensors", "--out", out + "/qat.safetensors", "--overwrite"},
      {"is the model itself"});
  expect_refused({"convert", out + "/float.safetensors"},
                 {"float.safetensors", "float model", "quantize"});
  expect_refused({"convert", integers}, {"already an integer network"});
  expect_refused({"convert", out + "/qat.safetensors", "--out", out}, {"is a directory"});
}

TEST_F(CliIntegers, OfShippedModelsAreMadeInOneCommand) {
  for (const std::string name : {"smnist-pruned", "smnist-taox"}) {
    const std::string model = CROSSTATE_SOURCE_DIR "/models/" + name + ".safetensors";
    ASSERT_EQ(call({"convert", model, "--out", path(name)}).code, 0) << name;
    const auto predictions = [&](const std::string& file, const std::string& to) {
      EXPECT_EQ(call({"eval", file, "--backend", "integer", "--set", "data.test_limit=100",
                      "--predictions", path(to)})
                    .code,
                0);
      return read_file(path(to));
    };
    EXPECT_EQ(predictions(path(name), "a.csv"), predictions(model, "b.csv")) << name;
  }
}

}  // namespace
}  // namespace crosstate
