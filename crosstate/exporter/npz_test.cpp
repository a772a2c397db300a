#include "crosstate/exporter/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/exporter/golden.h"
#include "crosstate/formats/matrix.h"
#include "crosstate/integer/network.h"
#include "crosstate/integer/testing.h"

namespace crosstate::exporter {
namespace {

using testing::HasSubstr;

std::string bytes_of(const auto& values) {
  return formats::NpzArray::integers("", {values.size()}, {values.begin(), values.end()}).bytes;
}

TEST(Npz, HoldsEveryTensorAndGoldenVectors) {
  const integer::IntegerNetwork network = integer::fixtures::RandomNetwork(2).make();
  ExportOptions options;
  options.sequences = 3;
  options.steps = 5;
  const SourceFile file =
      npz_file(inference::Model(network, {}, "some/where/My Net.integer.safetensors"), options);
  EXPECT_EQ(file.path, "my_net.npz");
  const formats::Safetensors content = integer::to_tensors(network);
  for (const auto& [name, tensor] : content.tensors) {
    EXPECT_THAT(file.text, HasSubstr(name + ".npy"));
  }
  EXPECT_THAT(file.text, HasSubstr(bytes_of(network.encoder.weight)));
  EXPECT_THAT(file.text, HasSubstr(bytes_of(network.blocks[0].linear_map.weight)));
  const GoldenVectors golden = golden_vectors(network, 3, 5);
  EXPECT_THAT(file.text, HasSubstr("golden.codes.npy"));
  EXPECT_THAT(file.text, HasSubstr(bytes_of(golden.codes)));
  EXPECT_THAT(file.text, HasSubstr("golden.scores.npy"));
  EXPECT_THAT(file.text, HasSubstr(bytes_of(golden.scores)));
  EXPECT_THAT(file.text, HasSubstr(content.metadata.at("integer")));
}

TEST(Npz, RefusesWhatIsNoName) {
  ExportOptions options;
  options.name = "My Net";
  EXPECT_THROW(
      npz_file(inference::Model(integer::fixtures::RandomNetwork(2).make(), {}, "a"), options),
      Error);
}

}  // namespace
}  // namespace crosstate::exporter
