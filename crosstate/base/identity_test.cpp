#include "crosstate/base/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "crosstate/base/testing.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing::ThrowsMessage;

using IdentityFiles = DirectoryTest;

void expect_differs(const json& found, const json& expected, const std::string& message) {
  EXPECT_THAT([&] { require_same(found, expected, "a.file"); },
              ThrowsMessage<CannotContinue>(AllOf(StartsWith("a.file: " + message),
                                                  EndsWith("; continue with the same value, or "
                                                           "start a new run"))));
}

TEST(ContentIdentity, ChecksumsAreThoseOfCrc32) {
  EXPECT_EQ(checksum("123456789"), 0xCBF43926u);  // the check value of CRC-32/ISO-HDLC
  EXPECT_EQ(checksum(""), 0u);
  EXPECT_EQ(checksum(std::string(1, '\0')), 0xD202EF8Du);
  EXPECT_NE(checksum("ab"), checksum("ba"));
}

TEST_F(IdentityFiles, HaveTheChecksumOfTheirBytes) {
  EXPECT_EQ(file_checksum(file("a", "123456789")), 0xCBF43926u);
  EXPECT_EQ(file_checksum(file("empty", "")), 0u);
  EXPECT_THAT([&] { file_checksum(directory_ / "absent"); },
              ThrowsMessage<Error>(HasSubstr("absent")));
}

TEST(ContentIdentity, EqualValuesAreTheSameInAnyOrderOfKeys) {
  const json a = json::parse(R"({"a": 1, "b": {"c": [1, 2.5, "x"], "d": null}})");
  const json b = json::parse(R"({"b": {"d": null, "c": [1, 2.5, "x"]}, "a": 1})");
  EXPECT_NO_THROW(require_same(a, b, "a.file"));
  EXPECT_NO_THROW(require_same(json::object(), json::object(), "a.file"));
}

TEST(ContentIdentity, NamesTheFirstDifferenceAsASetting) {
  const json before = {{"config", {{"model", {{"states", 16}, {"layers", 2}}}}}, {"seed", 1}};
  json now = before;
  now["config"]["model"]["states"] = 32;
  now["seed"] = 2;
  expect_differs(before, now, "model.states was 16 and is now 32");
  now = before;
  now["seed"] = 2;
  expect_differs(before, now, "seed was 1 and is now 2");
  now["seed"] = 1.5;
  expect_differs(before, now, "seed was 1 and is now 1.5");
  now = before;
  now["config"]["model"].erase("layers");
  expect_differs(before, now, "model.layers was 2 and is now missing");
  expect_differs(now, before, "model.layers was missing and is now 2");
  expect_differs({{"list", {1, 2}}}, {{"list", {1, 3}}}, "list.1 was 2 and is now 3");
}

TEST(ContentIdentity, NamesSettings) {
  const SettingNames names = {{"/options/", "qat."}, {"/teacher/weight", "qat.distill"}};
  const auto expect = [&](const json& before, const json& now, const std::string& message) {
    EXPECT_THAT([&] { require_same(before, now, "a.file", names); },
                ThrowsMessage<CannotContinue>(StartsWith("a.file: " + message)));
  };
  expect({{"options", {{"epochs", 2}}}}, {{"options", {{"epochs", 3}}}},
         "qat.epochs was 2 and is now 3");
  // null is no value.
  expect({{"teacher", nullptr}}, {{"teacher", {{"weight", 0.5}}}},
         "qat.distill was missing and is now 0.5");
  EXPECT_NO_THROW(require_same({{"a", 1}, {"b", nullptr}}, {{"a", 1}}, "a.file"));
  for (const json& damaged : {json::object(), json::array(), json(nullptr), json("x")}) {
    expect(damaged, {{"seed", 1}}, "is damaged: ");
  }
}

// Settings are reported before counts in their content, and checksums last.
TEST(ContentIdentity, NamesChecksumsLast) {
  const json before = {{"data", {{"checksum", 1}, {"sequences", 10}}}, {"train", {{"epochs", 3}}}};
  json now = before;
  now["data"]["checksum"] = 2;
  expect_differs(before, now, "data.checksum was 1 and is now 2");
  now["data"]["sequences"] = 11;
  expect_differs(before, now, "data.sequences was 10 and is now 11");
  now["train"]["epochs"] = 4;
  expect_differs(before, now, "train.epochs was 3 and is now 4");
}

TEST(ContentIdentity, BoundsWhatItQuotesAndWalks) {
  const std::string endless(100'000, 'x');
  try {
    require_same({{"a", endless}}, {{"a", 1}}, "a.file");
    FAIL() << "expected a difference";
  } catch (const CannotContinue& error) {
    EXPECT_LT(std::string(error.what()).size(), 1000u);
  }
  json deep = 1;
  for (int i = 0; i < 16; ++i) deep = json::array({deep});
  EXPECT_NO_THROW(require_same(deep, deep, "a.file"));
  EXPECT_THAT([&] { require_same(json::array({deep}), deep, "a.file"); },
              ThrowsMessage<CannotContinue>(
                  AllOf(StartsWith("a.file: nested too deeply"), Not(HasSubstr("[")))));
}

}  // namespace
}  // namespace crosstate
