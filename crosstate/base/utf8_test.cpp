#include "crosstate/base/utf8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"

namespace crosstate {
namespace {

const std::string kMark = "\xef\xbf\xbd";

TEST(Utf8, LeavesValidTextAsItIs) {
  for (const std::string& text :
       {std::string(), std::string("plain"), std::string("caf\xc3\xa9"), std::string("a\0b", 3),
        std::string("\xe2\x82\xac \xf0\x9f\x8e\xa4 \xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf")}) {
    EXPECT_EQ(as_utf8(text), text);
  }
}

TEST(Utf8, MarksWhatIsNotUtf8) {
  EXPECT_EQ(as_utf8("caf\xe9"), "caf" + kMark);
  EXPECT_EQ(as_utf8("\xff"
                    "a\x80"),
            kMark + "a" + kMark);
  EXPECT_EQ(as_utf8("\xc0\xaf"), kMark + kMark);                          // a long form of '/'
  EXPECT_EQ(as_utf8("\xed\xa0\x80"), kMark + kMark + kMark);              // a surrogate
  EXPECT_EQ(as_utf8("\xf4\x90\x80\x80"), kMark + kMark + kMark + kMark);  // above 10FFFF
  EXPECT_EQ(as_utf8("\xe2\x82"), kMark);                                  // cut off
  EXPECT_EQ(as_utf8("\xe2\x82x"), kMark + "x");
}

// For all bytes, the result is valid in JSON.
TEST(Utf8, AnyBytesBecomeJson) {
  std::string bytes;
  for (int first = 0x60; first < 0x100; first += 3) {
    for (int second = 0; second < 0x100; second += 7) {
      bytes += static_cast<char>(first);
      bytes += static_cast<char>(second);
    }
  }
  for (std::size_t at = 0; at < bytes.size(); at += 11) {
    const std::string text = as_utf8(std::string_view(bytes).substr(at, 64));
    EXPECT_NO_THROW((void)exact_json_text(nlohmann::json(text)));
    EXPECT_EQ(as_utf8(text), text);
  }
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(cut_utf8("caf\xc3\xa9", 5), "caf\xc3\xa9");
  EXPECT_EQ(cut_utf8("caf\xc3\xa9", 4), "caf");
  EXPECT_EQ(cut_utf8("\xf0\x9f\x8e\xa4", 3), "");
  EXPECT_EQ(cut_utf8("abc", 2), "ab");
}

// An excerpt that ends within a character, or contains other bytes, is still valid text.
TEST(Utf8, MessagesAreUtf8) {
  std::string euros;
  for (int i = 0; i < 100; ++i) euros += "\xe2\x82\xac";
  for (std::size_t most = 1; most < 20; ++most) {
    const std::string text = excerpt(euros, most);
    EXPECT_EQ(as_utf8(text), text) << most;
    EXPECT_LE(text.size(), most + 3);
    EXPECT_THAT(text, testing::EndsWith("..."));
  }
  EXPECT_EQ(excerpt("caf\xe9"), "caf" + kMark);
  EXPECT_LE(excerpt(std::string(500, '\xff'), 80).size(), 83u);
  EXPECT_THAT([] { fail("dir/caf\xe9", "is damaged"); },
              testing::ThrowsMessage<Error>("dir/caf" + kMark + ": is damaged"));
}

TEST(Folded, BreaksBetweenWords) {
  EXPECT_EQ(folded("", 10, 2), "");
  EXPECT_EQ(folded("one two", 7, 2), "one two");
  EXPECT_EQ(folded("one two three", 7, 2), "one two\n  three");
  EXPECT_EQ(folded("unbreakable a b", 4, 1), "unbreakable\n a b");
  EXPECT_EQ(folded("\xc3\xa4\xc3\xa4 b", 4, 0), "\xc3\xa4\xc3\xa4 b");
}

}  // namespace
}  // namespace crosstate
