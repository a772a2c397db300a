// Arrays of integers and texts in NPZ files; matrices are in matrix_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/formats/matrix.h"

namespace crosstate::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(NpzArrays, TakeTheSmallestSignedType) {
  const auto type_of = [](std::int64_t low, std::int64_t high) {
    return NpzArray::integers("a", {2}, {low, high}).type;
  };
  EXPECT_EQ(type_of(-128, 127), "|i1");
  EXPECT_EQ(type_of(0, 128), "<i2");
  EXPECT_EQ(type_of(-32769, 0), "<i4");
  EXPECT_EQ(type_of(0, std::int64_t{1} << 31), "<i8");
  EXPECT_EQ(NpzArray::integers("a", {0}, {}).type, "|i1");
  EXPECT_EQ(NpzArray::integers("a", {1}, {-2}).bytes, "\xfe");
  EXPECT_EQ(NpzArray::integers("a", {1}, {0x1234}).bytes, "\x34\x12") << "little-endian";
}

TEST(NpzArrays, ReadBack) {
  const std::vector<std::int64_t> cube = {0, 1, -1, 300, 5, -6, 7, 8};
  const std::string file = format_npz_arrays(
      {NpzArray::integers("cube", {2, 2, 2}, cube), NpzArray::integers("row", {3}, {1, 2, 3})});
  const auto read = parse_npz_numbers(file, "written.npz");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].first, "cube");
  EXPECT_THAT(read[0].second.shape, ElementsAre(2, 2, 2));
  EXPECT_EQ(read[0].second.values, std::vector<double>(cube.begin(), cube.end()));
  EXPECT_EQ(read[1].first, "row");
  EXPECT_THAT(read[1].second.shape, ElementsAre(3));
}

TEST(NpzArrays, BeginTheirDataAtMultiplesOf64) {
  const std::string file = format_npz_arrays({NpzArray::integers("a", {1}, {7})});
  const std::size_t magic = file.find("\x93NUMPY"), header = file.find("{'descr'");
  const std::size_t end = file.find('\n', header) + 1;
  EXPECT_EQ((end - magic) % 64, 0u);
  EXPECT_THAT(file, HasSubstr("'shape': (1,)"));
  EXPECT_EQ(file[end], 7);
}

TEST(NpzArrays, HoldTextsAsBytes) {
  const NpzArray text = NpzArray::text("format", "{}");
  EXPECT_EQ(text.type, "|S2");
  EXPECT_THAT(text.shape, ElementsAre());
  EXPECT_EQ(NpzArray::text("empty", "").type, "|S1") << "NumPy has no texts of 0 bytes";
  // Numbers are expected where arrays are read.
  const std::string file = format_npz_arrays({text});
  EXPECT_THAT([&] { parse_npz_numbers(file, "f.npz"); },
              ThrowsMessage<Error>(HasSubstr("f.npz: format: type ")));
}

TEST(NpzArrays, OfOtherShapesOrTypesAreRefused) {
  const std::string wide = format_npz_arrays({NpzArray::integers("a", {1, 1, 1, 1}, {1})});
  EXPECT_THAT([&] { parse_npz_numbers(wide, "f.npz"); },
              ThrowsMessage<Error>(HasSubstr("f.npz: a: expected an array of one to three")));
  const std::string integers = format_npz_arrays({NpzArray::integers("a", {1, 1}, {1})});
  EXPECT_THAT([&] { parse_npz(integers, "f.npz"); },
              ThrowsMessage<Error>(HasSubstr("expected '<f8' or '<f4'")));
  const std::string few = format_npz_arrays({NpzArray::integers("a", {3}, {1, 2})});
  EXPECT_THAT([&] { parse_npz_numbers(few, "f.npz"); },
              ThrowsMessage<Error>(HasSubstr("2 bytes of data for 3 x 1 numbers, expected 3")));
}

}  // namespace
}  // namespace crosstate::formats
