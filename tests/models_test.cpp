// The trained networks in models/: they load, have the size and reach the accuracy stated there.
#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "crosstate/base/random.h"
#include "crosstate/data/testing.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;

// Name and bytes of everything that a device stores.
const std::vector<std::pair<std::string, int>> kKeywords = {{"keywords", 15759},
                                                            {"keywords-ternary", 15679}};

class Models : public Cli {
 protected:
  static std::string model(const std::string& name) {
    return CROSSTATE_SOURCE_DIR "/models/" + name + ".safetensors";
  }
  // On the test digits of the built-in sample.
  double accuracy(const std::string& name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"eval", model(name), "--json", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Result result = call(arguments);
    EXPECT_EQ(result.code, 0) << name << ": " << result.err;
    return result.code == 0 ? parse_json(result.out)["accuracy"].get<double>() : 0;
  }
};

TEST_F(Models, AreAsAccurateAsSaid) {
  const std::vector<std::pair<std::string, double>> known = {
      {"smnist.float", 0.99},      {"smnist", 0.99},
      {"smnist.integer", 0.99},    {"smnist-pruned", 0.985},
      {"smnist-pruned-w4", 0.985}, {"smnist-taox", 0.985},
      {"smnist-pcm-1y", 0.975}};
  for (const auto& [name, least] : known) EXPECT_GE(accuracy(name), least) << name;
  std::size_t shipped = 0;
  for (const auto& entry : fs::directory_iterator(CROSSTATE_SOURCE_DIR "/models")) {
    shipped += entry.path().extension() == ".safetensors";
  }
  EXPECT_EQ(shipped, known.size() + kKeywords.size()) << "a network that no test looks at";
}

// Recordings of words are not part of the sources.
TEST_F(Models, KnowSilence) {
  Random random(3, Stream::kTest);
  std::vector<float> quiet(16000);
  for (float& sample : quiet) sample = static_cast<float>(0.001 * random.normal());
  data::reference::write_sound(path("quiet.wav"), quiet, 16000);
  for (const auto& [name, bytes] : kKeywords) {
    const Result described = call({"info", model(name), "--json", "-"});
    ASSERT_EQ(described.code, 0) << described.err;
    EXPECT_EQ(parse_json(described.out)["memory"]["total"], bytes) << name;
    const Result heard = call({"stream", model(name), path("quiet.wav")});
    EXPECT_EQ(heard.code, 0) << heard.err;
    EXPECT_THAT(heard.out, testing::HasSubstr(",silence,")) << name;
  }
}

TEST_F(Models, MeanTheSameAsWholeNumbers) {
  accuracy("smnist", {"--backend", "integer", "--predictions", path("a.csv")});
  accuracy("smnist.integer", {"--predictions", path("b.csv")});
  EXPECT_EQ(read_file(path("a.csv")), read_file(path("b.csv")));
}

}  // namespace
}  // namespace crosstate
