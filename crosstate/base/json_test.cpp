#include "crosstate/base/json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace crosstate {
namespace {

using nlohmann::json;

TEST(Json, TextReadsBack) {
  const json value = {{"a", {1, 2.5, true, nullptr}}, {"b", "\u00e4 \"\n"}};
  EXPECT_EQ(parse_json(json_text(value)), value);
  EXPECT_EQ(parse_json(json_text(value, 2)), value);
  EXPECT_EQ(json_text(json{{"a", 1}}), R"({"a":1})");
  EXPECT_EQ(json_text(json{{"a", 1}}, 2), "{\n  \"a\": 1\n}");
}

TEST(Json, BytesThatAreNotUtf8AreReplacedOrRefused) {
  EXPECT_EQ(json_text("a\xff"), "\"a\xef\xbf\xbd\"");
  EXPECT_THROW(exact_json_text("a\xff"), json::type_error);
}

TEST(Json, WhatIsNotJsonIsDiscardedOrThrown) {
  EXPECT_TRUE(try_parse_json("{").is_discarded());
  EXPECT_EQ(try_parse_json("[1]"), json::array({1}));
  EXPECT_THROW(parse_json("{"), json::parse_error);
}

}  // namespace
}  // namespace crosstate
