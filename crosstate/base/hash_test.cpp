#include "crosstate/base/hash.h"

#include <gtest/gtest.h>

namespace crosstate {
namespace {

template <class Word>
std::string digits(std::string_view text) {
  Fnv1a<Word> hash;
  hash.add(text);
  return hash.text();
}

TEST(Hash, AgreesWithThePublishedVectors) {
  EXPECT_EQ(digits<std::uint32_t>(""), "811c9dc5");
  EXPECT_EQ(digits<std::uint32_t>("foobar"), "bf9cf968");
  EXPECT_EQ(digits<std::uint64_t>(""), "cbf29ce484222325");
  EXPECT_EQ(digits<std::uint64_t>("foobar"), "85944171f73967e8");
}

TEST(Hash, TakesTextInPieces) {
  Fnv1a<std::uint64_t> hash;
  hash.add("foo");
  hash.add("bar");
  EXPECT_EQ(hash.text(), digits<std::uint64_t>("foobar"));
}

// This value determines to which part of a data set a recording belongs.
TEST(Hash, OfANameNeverChanges) {
  EXPECT_EQ(name_hash(""), 0xf52a15e9a9b5e89bu);
  EXPECT_EQ(name_hash("0_george_0.wav"), 0x2165cc118a931eeeu);
}

}  // namespace
}  // namespace crosstate
