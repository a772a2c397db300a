#include "crosstate/base/toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

void expect_refused(const std::string& text, const std::string& where, const std::string& part) {
  EXPECT_THAT([&] { parse_toml_table(text, "a.toml"); },
              ThrowsMessage<Error>(AllOf(StartsWith(where), HasSubstr(part))))
      << text;
}

TEST(TomlTable, HoldsTheValuesAndTheirLines) {
  const toml::table table =
      parse_toml_table("[train]\nepochs = 3\n\n[a.b]\nc = [1, 2]\n", "a.toml");
  ASSERT_TRUE(table["train"]["epochs"].is_integer());
  EXPECT_EQ(table["train"]["epochs"].value<std::int64_t>(), 3);
  EXPECT_EQ(toml_place("a.toml", table["train"]["epochs"].node()->source()), "a.toml:2");
  EXPECT_EQ(toml_place("a.toml", table["a"]["b"]["c"].node()->source()), "a.toml:5");
  EXPECT_TRUE(parse_toml_table("", "a.toml").empty());
}

TEST(TomlTable, NamesTheLineOfWhatIsNotToml) {
  expect_refused("[train]\nepochs = \n", "a.toml:2: ", "");
  expect_refused("a = 1\na = 2\n", "a.toml:2: ", "");
}

TEST(TomlTable, BoundsTheDotsOfALine) {
  std::string deep = "a";
  for (int i = 0; i < 32; ++i) deep += ".a";
  EXPECT_NO_THROW(parse_toml_table(deep + " = 1\n", "a.toml"));
  expect_refused("x = 1\n" + deep + ".a = 1\n", "a.toml:2: ", "33 dots in one line");
  expect_refused("[" + deep + ".a]\n", "a.toml:1: ", "33 dots");
  const std::string dots(100, '.');
  EXPECT_NO_THROW(parse_toml_table("a = \"" + dots + "\"  # " + dots + "\n", "a.toml"));
  EXPECT_NO_THROW(parse_toml_table("a = '" + dots + "'\n", "a.toml"));
  expect_refused("a = \"\"\"\n\"\n" + dots + "\"\n\"\"\"\n", "a.toml:3: ", "100 dots");
}

TEST(TomlTable, MayGiveTheVersionOfItsKeys) {
  const toml::table table = parse_toml_table("version = 1\n[train]\nversion = 7\n", "a.toml");
  EXPECT_FALSE(table.contains("version"));
  EXPECT_EQ(table["train"]["version"].value<std::int64_t>(), 7);  // a key like any other
  expect_refused("# of a later version\nversion = 2\n", "a.toml:2: ",
                 "version = 2, expected 1: it was written for a newer version of crosstate");
  expect_refused("version = 0\n", "a.toml:1: ", "version = 0, expected 1");
  expect_refused("version = \"1\"\n", "a.toml:1: ", "version: expected the integer 1");
  expect_refused("version = 1.0\n", "a.toml:1: ", "version: expected the integer 1");
  expect_refused("[version]\na = 1\n", "a.toml:1: ", "version: expected the integer 1");
}

}  // namespace
}  // namespace crosstate
