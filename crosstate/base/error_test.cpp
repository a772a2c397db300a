#include "crosstate/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crosstate {
namespace {

TEST(Error, FailNamesThePlaceAndTheProblem) {
  EXPECT_THAT([] { fail("labels.idx", "magic 0x0803, expected 0x0801"); },
              testing::ThrowsMessage<Error>("labels.idx: magic 0x0803, expected 0x0801"));
}

TEST(Error, OptionsOfAFileAreAboutTheFile) {
  const auto told = [](const std::string& place) {
    about_file("chip.toml", [&] { fail(place, "g_max = 0"); });
  };
  EXPECT_THAT([&] { told("options"); }, testing::ThrowsMessage<Error>("chip.toml: g_max = 0"));
  for (const std::string place : {"options.x", "other", "my options"}) {
    EXPECT_THAT([&] { told(place); }, testing::ThrowsMessage<Error>(place + ": g_max = 0"));
  }
  EXPECT_EQ(about_file("chip.toml", [] { return 3; }), 3);
}

TEST(Error, ExcerptsAreOneShortLine) {
  EXPECT_EQ(excerpt("model.channels"), "model.channels");
  EXPECT_EQ(excerpt("a\nb\x1b[31m\x7f"), "a?b?[31m?");
  EXPECT_EQ(excerpt("\xc3\xa4"), "\xc3\xa4");
  EXPECT_EQ(excerpt(std::string(80, 'x')), std::string(80, 'x'));
  EXPECT_EQ(excerpt(std::string(81, 'x')), std::string(80, 'x') + "...");
}

TEST(Error, ExcerptsAreWholeCharacters) {
  const std::string two = "\xc3\xa4", three = "\xe2\x82\xac", four = "\xf0\x9f\x98\x80";
  for (const std::string& character : {two, three, four}) {
    for (std::size_t most = 1; most < 9; ++most) {
      std::string whole;
      while (whole.size() + character.size() <= most) whole += character;
      EXPECT_EQ(excerpt(character + character + character + character + character, most),
                whole + "...");
    }
    EXPECT_EQ(excerpt(character, character.size()), character);
    EXPECT_EQ(excerpt(character.substr(0, character.size() - 1) + "x").back(), 'x');
  }
  // Latin-1, a lone continuation byte, an overlong form, a lone surrogate, a code point beyond
  // Unicode.
  EXPECT_EQ(excerpt("gr\xfc\xdf"
                    "e"),
            "gr\ufffd\ufffd"
            "e");
  EXPECT_EQ(excerpt("\x80|\xc0\xaf|\xff"), "\ufffd|\ufffd\ufffd|\ufffd");
}

TEST(Error, IsAStandardException) { EXPECT_THROW(fail("a", "b"), std::runtime_error); }

}  // namespace
}  // namespace crosstate
