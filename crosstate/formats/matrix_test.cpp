#include "crosstate/formats/matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"

namespace crosstate::formats {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string refusal(const std::string& csv) {
  return message_of([&] { parse_csv(csv, "g.csv"); });
}

TEST(Maps, ReadCsv) {
  const Matrix matrix = parse_csv(" 1e-6 ,\t+2\r\n-3,4E-2\r\n\r\n", "g.csv");
  EXPECT_EQ(matrix.rows, 2u);
  EXPECT_EQ(matrix.columns, 2u);
  EXPECT_THAT(matrix.values, ElementsAre(1e-6, 2, -3, 0.04));
  EXPECT_EQ(parse_csv("7", "g.csv").values.size(), 1u);
  EXPECT_THAT(parse_csv("\xEF\xBB\xBF"
                        "1e-6,1E-400\n.5,5.\n",
                        "g.csv")
                  .values,
              ElementsAre(1e-6, 0, 0.5, 5));
  EXPECT_THAT(parse_csv("+1.0E-06", "g.csv").values, ElementsAre(1e-6));
}

TEST(Maps, MayBeginWithTheVersionOfTheirFormat) {
  const Matrix matrix = parse_csv("# crosstate matrix 1\r\n1,2\n3,4\n", "g.csv");
  EXPECT_EQ(matrix.rows, 2u);
  EXPECT_THAT(matrix.values, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(
      refusal("# crosstate matrix 2\n1,2\n"),
      HasSubstr("g.csv:1: format 'crosstate matrix 2', expected 'crosstate matrix 1': it was "
                "written by a newer version"));
  EXPECT_THAT(refusal("# crosstate matrix 1\n"), HasSubstr("g.csv: has no lines of numbers"));
  EXPECT_THAT(refusal("# crosstate matrix 1\n1,2\n3\n"),
              HasSubstr("g.csv:3: 1 values, expected 2 as in line 2"));
  EXPECT_THAT(refusal("# my matrix\n1,2\n"), HasSubstr("g.csv:1: column 1: \"# my matrix\""));
  EXPECT_THAT(refusal("1,2\n# crosstate matrix 1\n"), HasSubstr("g.csv:2: column 1"));
}

TEST(Maps, NameLineAndColumnOfWhatTheyRefuse) {
  EXPECT_THAT(refusal(""), HasSubstr("g.csv: is empty"));
  EXPECT_THAT(refusal(" \r\n\n"), HasSubstr("g.csv: is empty"));
  EXPECT_THAT(refusal("1,2\n3,4 S\n"), AllOf(HasSubstr("g.csv:2: column 2: \"4 S\""),
                                             HasSubstr("expected a finite number")));
  EXPECT_THAT(refusal("row,column\n"), HasSubstr("g.csv:1: column 1: \"row\""));
  EXPECT_THAT(refusal("1,,2\n"), HasSubstr("column 2: \"\""));
  EXPECT_THAT(refusal("1,2,\n"), HasSubstr("column 3: \"\""));
  EXPECT_THAT(refusal("1\n\n2\n"), HasSubstr("g.csv:2: column 1: \"\""));
  EXPECT_THAT(refusal("1,2\n1,2,3\n"), HasSubstr("g.csv:2: 3 values, expected 2"));
  for (const char* text : {"nan", "inf", "1e999", "+-1", "0x10", "1;2"}) {
    EXPECT_THAT(refusal(text), HasSubstr("g.csv:1: column 1")) << text;
  }
  EXPECT_THAT(refusal("1,1e400"), HasSubstr("g.csv:1: column 2: \"1e400\" is too large"));
  EXPECT_THAT(refusal("1\n9.91E+37"),
              HasSubstr("g.csv:2: column 1: \"9.91E+37\" marks an overload of an instrument"));
  EXPECT_THAT(refusal("0x1p3"), HasSubstr("\"0x1p3\" is hexadecimal"));
  EXPECT_THAT(refusal(std::string("\xFF\xFE"
                                  "1\0",
                                  4)),
              HasSubstr("g.csv: is text in UTF-16"));
  EXPECT_THAT(refusal("\xEF\xBB\xBF\n"), HasSubstr("g.csv: is empty"));
  EXPECT_LT(refusal(std::string(10000, 'x')).size(), 200u);
}

TEST(Maps, TellFilesOfOtherKinds) {
  const std::string directory = testing::TempDir();
  const std::string npy("\x93NUMPY\1\0v\0{\"descr\": \"<f8\"", 26);
  for (const char* name : {"crosstate-g.npy", "crosstate-g.csv", "crosstate-g.npz"}) {
    write_file(directory + name, npy);
    EXPECT_THAT(message_of([&] { read_matrix(directory + name); }),
                AllOf(HasSubstr(name), HasSubstr("is a .npy file, expected .npz or .csv")));
  }
  write_file(directory + "crosstate-g.npy", "1,2\n");
  EXPECT_THAT(message_of([&] { read_matrix(directory + "crosstate-g.npy"); }),
              HasSubstr("expected .npz or .csv"));
  EXPECT_THAT(message_of([] { require_matrix_name("out.npy"); }),
              HasSubstr("expected .npz or .csv"));
  write_file(directory + "crosstate-g.csv", format_npz({{"g", {1, 1, {2}}}}));
  EXPECT_THAT(message_of([&] { read_matrix(directory + "crosstate-g.csv"); }),
              HasSubstr("is a zip archive"));
  for (const char* name : {"crosstate-g.npy", "crosstate-g.csv", "crosstate-g.npz"}) {
    std::filesystem::remove(directory + name);
  }
}

Matrix awkward() {
  return {2, 3, {0, 1.0 / 3, std::numeric_limits<double>::denorm_min(), -0.0, 1e308, 1e-6}};
}

TEST(Maps, ReadBackTheSameBits) {
  const Matrix csv = parse_csv(format_csv(awkward()), "written.csv");
  EXPECT_EQ(csv.values, awkward().values);
  const std::string npz = format_npz({{"plus", awkward()}, {"minus", {1, 1, {5}}}});
  const std::vector<NamedMatrix> read = parse_npz(npz, "written.npz");
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].first, "plus");
  EXPECT_EQ(read[0].second.values, awkward().values);
  EXPECT_EQ(read[0].second.columns, 3u);
  EXPECT_EQ(read[1].first, "minus");
}

// Written by numpy.savez() and numpy.savez_compressed(): with extensions for large files in the
// local headers, a vector, and Fortran order.
TEST(Maps, ReadWhatNumPyWrites) {
  const std::string samples = std::string(CROSSTATE_SOURCE_DIR) + "/fuzz/corpus/npz/";
  const auto stored = parse_npz(read_file(samples + "seed-stored"), "stored");
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].first, "a");
  EXPECT_THAT(stored[0].second.values, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(stored[1].second.rows, 2u);
  EXPECT_EQ(stored[1].second.columns, 1u);
  const auto deflated = parse_npz(read_file(samples + "seed-deflated"), "deflated");
  ASSERT_EQ(deflated.size(), 1u);
  EXPECT_EQ(deflated[0].second.rows, 2u);
  EXPECT_THAT(deflated[0].second.values, ElementsAre(1, 2, 3, 4, 5, 6)) << "float32, columns first";
}

TEST(Maps, CheckTheValuesOfNpz) {
  const std::string path =
      testing::TempDir() + "maps-" + std::to_string(getpid()) + ".npz";  // tests run side by side
  const auto refused = [&](double value) {
    write_matrix(path, {2, 2, {1, 2, value, 4}});
    return message_of([&] { read_matrix(path); });
  };
  EXPECT_THAT(refused(INFINITY), HasSubstr("row 2, column 1: inf, expected a finite number"));
  EXPECT_THAT(refused(NAN), HasSubstr("row 2, column 1: nan, expected a finite number"));
  EXPECT_THAT(refused(9.91e37),
              HasSubstr("row 2, column 1: 9.91e+37 marks an overload of an instrument"));
  EXPECT_EQ(refused(3), "no error");
  std::filesystem::remove(path);
}

TEST(Maps, RefuseDamagedNpz) {
  const std::string good = format_npz({{"g", awkward()}});
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THROW(parse_npz(good.substr(0, size), "cut.npz"), Error) << size;
  }
  std::string flipped = good;
  flipped[good.size() / 2] ^= 1;
  EXPECT_THAT(message_of([&] { parse_npz(flipped, "bad.npz"); }),
              AllOf(HasSubstr("bad.npz: g"), HasSubstr("checksum")));
  EXPECT_THAT(message_of([] { parse_npz("1,2\n", "g.npz"); }), HasSubstr("NPZ"));
}

}  // namespace
}  // namespace crosstate::formats
