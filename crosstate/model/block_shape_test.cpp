#include "crosstate/model/block_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"

namespace crosstate::model {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::ThrowsMessage;
using testing::UnorderedElementsAre;

class BlockShapeFile : public testing::Test {
 protected:
  static constexpr std::size_t kStream = 5, kModes = 3;

  static formats::Safetensors saved(const BlockShape& shape) {
    formats::Safetensors content;
    save_shape(shape, whole_, "layers.7.", content);
    return content;
  }
  static BlockShape loaded(const formats::Safetensors& content) {
    return load_shape(content, whole_, "layers.7.", "a.safetensors");
  }
  static formats::Tensor tensor(const std::vector<std::int32_t>& values) {
    return formats::Tensor::from(values, {values.size()});
  }
  // Both tensors; an empty list stands for a tensor that the file lacks.
  static void expect_refused(const std::vector<std::int32_t>& channels,
                             const std::vector<std::int32_t>& modes, const std::string& tensor_name,
                             const std::string& what) {
    formats::Safetensors content;
    if (!channels.empty()) content.tensors["layers.7.channels"] = tensor(channels);
    if (!modes.empty()) content.tensors["layers.7.modes"] = tensor(modes);
    EXPECT_THAT(
        [&] { loaded(content); },
        ThrowsMessage<Error>(AllOf(
            HasSubstr("a.safetensors: tensor 'layers.7." + tensor_name + '\''), HasSubstr(what))));
  }

  inline static const BlockShape whole_ = BlockShape::whole(kStream, kModes);
};

TEST_F(BlockShapeFile, NumbersModesByChannel) {
  const BlockShape shape({1, 2, 4}, {2, 0, 3});
  EXPECT_EQ(shape.size(), 3u);
  EXPECT_EQ(shape.modes(), 5u);
  EXPECT_THAT(shape.first, ElementsAre(0, 2, 2, 5));
  EXPECT_THAT(shape.counts(), ElementsAre(2, 0, 3));
  EXPECT_EQ(shape.modes(1), 0u);
  EXPECT_TRUE(shape.every_channel(3));
  EXPECT_FALSE(shape.every_channel(kStream));
  EXPECT_THAT(whole_.channels, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(whole_.counts(), ElementsAre(3, 3, 3, 3, 3));
  EXPECT_TRUE(whole_.every_channel(kStream));
  const BlockShape none;
  EXPECT_EQ(none.size(), 0u);
  EXPECT_EQ(none.modes(), 0u);
  EXPECT_THAT(none.counts(), IsEmpty());
}

TEST_F(BlockShapeFile, StoresWhatDiffersFromAWholeBlock) {
  EXPECT_THAT(saved(whole_).tensors, IsEmpty());
  const BlockShape fewer_modes(whole_.channels, {3, 0, 1, 3, 2});
  EXPECT_THAT(saved(fewer_modes).tensors, UnorderedElementsAre(Pair("layers.7.modes", testing::_)));
  const BlockShape fewer_channels({0, 3}, {3, 3});
  EXPECT_THAT(saved(fewer_channels).tensors,
              UnorderedElementsAre(Pair("layers.7.channels", testing::_),
                                   Pair("layers.7.modes", testing::_)));
  const formats::Safetensors content = saved(fewer_channels);
  EXPECT_THAT(content.tensors.at("layers.7.channels").integers<std::int32_t>({2}, "memory"),
              ElementsAre(0, 3));
  EXPECT_THAT(content.tensors.at("layers.7.modes").integers<std::int32_t>({2}, "memory"),
              ElementsAre(3, 3));
}

TEST_F(BlockShapeFile, ComesBackFromItsTensors) {
  EXPECT_EQ(loaded({}), whole_);
  Random random(1, Stream::kTest);
  for (int i = 0; i < 200; ++i) {
    std::vector<std::size_t> channels, modes;
    for (std::size_t h = 0; h < kStream; ++h) {
      if (random.below(3) == 0) continue;
      channels.push_back(h);
      modes.push_back(random.below(kModes + 1));
    }
    const BlockShape shape(channels, modes);
    if (shape.modes() == 0) continue;
    EXPECT_EQ(loaded(saved(shape)), shape);
  }
}

// The tensors of another block are not its own.
TEST_F(BlockShapeFile, IsReadFromItsOwnTensors) {
  formats::Safetensors content = saved(BlockShape({1}, {2}));
  EXPECT_EQ(load_shape(content, whole_, "layers.0.", "a.safetensors"), whole_);
  EXPECT_EQ(load_shape(content, whole_, "layers.77.", "a.safetensors"), whole_);
}

TEST_F(BlockShapeFile, NamesTheTensorThatIsWrong) {
  expect_refused({0, 1}, {}, "channels", "stands without 'layers.7.modes'");
  expect_refused({0, 0}, {1, 1}, "channels", "do not ascend");
  expect_refused({3, 2}, {1, 1}, "channels", "do not ascend");
  expect_refused({0, 5}, {1, 1}, "channels", "holds 5, expected 0 to 4");
  expect_refused({-1, 2}, {1, 1}, "channels", "holds -1, expected 0 to 4");
  expect_refused({0, 1, 2, 3, 4, 4}, {1, 1, 1, 1, 1}, "channels", "one dimension of 1 to 5");
  expect_refused({0, 1}, {1, 4}, "modes", "holds 4, expected 0 to 3");
  expect_refused({0, 1}, {1, -2}, "modes", "holds -2, expected 0 to 3");
  expect_refused({0, 1}, {std::numeric_limits<std::int32_t>::min(), 1}, "modes", "expected 0 to 3");
  expect_refused({0, 1}, {1}, "modes", "1 numbers, expected 2, one per channel");
  expect_refused({0, 1}, {1, 1, 1}, "modes", "3 numbers, expected 2, one per channel");
  expect_refused({}, {1, 1, 1}, "modes", "3 numbers, expected 5, one per channel");
  expect_refused({0, 1}, {0, 0}, "modes", "no channel has modes, expected at least one");
  expect_refused({}, {1, 1, 1, 1, 1, 1}, "modes", "one dimension of 1 to 5");
}

TEST_F(BlockShapeFile, NamesATensorOfAnotherTypeOrShape) {
  const formats::Safetensors good = saved(BlockShape({0, 3}, {1, 2}));
  for (const std::string name : {"layers.7.channels", "layers.7.modes"}) {
    const auto refused = [&](const formats::Tensor& wrong, const std::string& what) {
      formats::Safetensors content = good;
      content.tensors.at(name) = wrong;
      EXPECT_THAT([&] { loaded(content); },
                  ThrowsMessage<Error>(
                      AllOf(HasSubstr("a.safetensors: tensor '" + name + '\''), HasSubstr(what))));
    };
    refused(formats::Tensor::from(std::vector<std::int64_t>{0, 1}, {2}), "I32");
    refused(formats::Tensor::from(std::vector<float>{0, 1}, {2}), "I32");
    refused(formats::Tensor::from(std::vector<std::int32_t>{0, 1}, {1, 2}), "one dimension");
    refused(formats::Tensor::from(std::vector<std::int32_t>{}, {0}), "one dimension");
    refused(formats::Tensor::from(std::vector<std::int32_t>{1}, {}), "one dimension");
  }
}

}  // namespace
}  // namespace crosstate::model
