#include "crosstate/formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>

#include "crosstate/base/error.h"

namespace crosstate::formats {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

Safetensors make_content() {
  Safetensors content;
  content.tensors["layer.weight"] = Tensor::from(std::vector<float>{1, -2, 3.5f, 0, 5, 6}, {2, 3});
  content.tensors["layer.bias"] = Tensor::from(std::vector<double>{0.1, -1e300}, {2});
  content.tensors["codes"] = {"I8", {3}, "\x01\xff\x7f"};
  content.tensors["empty"] = {"U8", {4, 0}, ""};
  content.tensors["scalar"] = {"I64", {}, std::string(8, '\x11')};
  content.metadata["format"] = "crosstate";
  content.metadata["\xc3\xa9t\xc3\xa9"] = "line\nbreak \"quoted\"";
  return content;
}

void expect_equal(const Safetensors& a, const Safetensors& b) {
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    const Tensor& other = b.tensors.at(name);
    EXPECT_EQ(tensor.dtype, other.dtype) << name;
    EXPECT_EQ(tensor.shape, other.shape) << name;
    EXPECT_EQ(tensor.bytes, other.bytes) << name;
  }
}

/// A file with this header and this number of data bytes.
std::string file(const std::string& header, std::size_t data = 0) {
  const std::uint64_t size = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + std::string(data, '\0');
}

/// Parses, or throws an Error of at most three lines that names the source.
void expect_parsed_or_refused(const std::string& bytes) {
  try {
    parse_safetensors(bytes, "model.safetensors");
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_THAT(message, HasSubstr("model.safetensors"));
    EXPECT_LE(std::ranges::count(message, '\n'), 2);
    EXPECT_LT(message.size(), 400u);
  }
}

TEST(Safetensors, RoundTrip) {
  const Safetensors content = make_content();
  const std::string bytes = format_safetensors(content);
  const Safetensors back = parse_safetensors(bytes, "memory");
  expect_equal(content, back);
  EXPECT_EQ(format_safetensors(back), bytes);
  EXPECT_EQ(back.tensors.at("layer.weight").floats({2, 3}, "w"),
            (std::vector<float>{1, -2, 3.5f, 0, 5, 6}));
  EXPECT_EQ(back.tensors.at("layer.bias").doubles({2}, "b"), (std::vector<double>{0.1, -1e300}));
}

TEST(Safetensors, RoundTripKeepsEveryBit) {
  const std::vector<float> odd = {std::nanf("7"), -0.0f, std::numeric_limits<float>::denorm_min(),
                                  -std::numeric_limits<float>::infinity()};
  Safetensors content;
  content.tensors["odd"] = Tensor::from(odd, {4});
  const std::vector<float> back =
      parse_safetensors(format_safetensors(content), "memory").tensors["odd"].floats({4}, "odd");
  for (std::size_t i = 0; i < odd.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(back[i]), std::bit_cast<std::uint32_t>(odd[i]));
  }
}

TEST(Safetensors, BytesAreFixedAndAligned) {
  Safetensors content;
  content.tensors["b"] = Tensor::from(std::vector<float>{1}, {1});
  content.tensors["a"] = {"U8", {2}, "xy"};
  const std::string header = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})";
  const std::string bytes = format_safetensors(content);
  std::uint64_t size;
  std::memcpy(&size, bytes.data(), 8);
  EXPECT_EQ(size % 8, 0u);
  EXPECT_LT(size, header.size() + 8);
  EXPECT_EQ(bytes.substr(8, size), header + std::string(size - header.size(), ' '));
  EXPECT_EQ(bytes.substr(8 + size), std::string("xy\x00\x00\x80\x3f", 6));

  content.metadata["k"] = "v";
  EXPECT_EQ(format_safetensors(content).substr(8, 28), R"({"__metadata__":{"k":"v"},"a)");
  expect_equal(parse_safetensors(format_safetensors({}), "memory"), {});
}

TEST(Safetensors, WritesAndReadsFiles) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) /
                                     ("crosstate_" + std::to_string(getpid()) + ".safetensors");
  write_safetensors(path, make_content());
  expect_equal(read_safetensors(path), make_content());
  std::filesystem::remove(path);
  EXPECT_THAT([&] { read_safetensors(path); }, ThrowsMessage<Error>(HasSubstr(path.string())));
}

TEST(Safetensors, AcceptsTensorsInAnyOrderOfTheHeader) {
  const std::string header =
      R"({"b": {"shape":[1], "data_offsets":[0,4], "dtype":"F32"},
          "a": {"dtype":"U8","shape":[2],"data_offsets":[4,6]},
          "z": {"dtype":"F64","shape":[0,7],"data_offsets":[4,4]}} )";
  EXPECT_EQ(parse_safetensors(file(header, 6), "x").tensors.size(), 3u);
}

TEST(Safetensors, RefusesDamage) {
  const std::string deep(100000, '[');
  const auto tensor = [](const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
  };
  struct Case {
    std::string message, bytes;
  };
  const Case cases[] = {
      {"0 bytes, expected at least 8", ""},
      {"7 bytes, expected at least 8", "1234567"},
      {"does not begin with '{'", std::string(8, '\0')},
      {"expected at most 100000000", std::string(8, '\xff')},
      {"expected at most 100000000", std::string("\x01\xe1\xf5\x05\0\0\0\0", 8)},
      {"header of 100000000 bytes in a file of 8", std::string("\x00\xe1\xf5\x05\0\0\0\0", 8)},
      {"header of 3 bytes in a file of 10", std::string("\x03\0\0\0\0\0\0\0{}", 10)},
      {"does not begin with '{'", file("[]")},
      {"does not begin with '{'", file(" {}")},
      {"does not begin with '{'", file("\xef\xbb\xbf{}")},
      {"NUL byte", file(std::string("{}\0\0", 4))},
      {"not valid JSON at its byte 3", file("{}x")},
      {"not valid JSON", file("{} {}")},
      {"not valid JSON", file("{")},
      {"not valid JSON", file("{/**/}")},
      {"not valid JSON", file("{\"\xff\":{}}")},
      {"'a' is repeated", file(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                               R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})")},
      {"'__metadata__' is repeated", file(R"({"__metadata__":{},"__metadata__":{}})")},
      {"'k' is repeated", file(R"({"__metadata__":{"k":"1","k":"2"}})")},
      {"'shape' is repeated", file(R"({"a":{"shape":[],"shape":[]}})")},
      {"__metadata__: a number where a string", file(R"({"__metadata__":{"k":1}})")},
      {"__metadata__: an object where a string", file(R"({"__metadata__":{"k":{}}})")},
      {"__metadata__: an array where an object", file(R"({"__metadata__":[]})")},
      {"tensor 'a': null where an object", file(R"({"a":null})")},
      {"tensor 'a': an array where an object", file("{\"a\":" + deep)},
      {"tensor 'a': no dtype", file(R"({"a":{"shape":[0],"data_offsets":[0,0]}})")},
      {"tensor 'a': no shape", file(R"({"a":{"dtype":"U8","data_offsets":[0,0]}})")},
      {"tensor 'a': no data_offsets", file(R"({"a":{"dtype":"U8","shape":[0]}})")},
      {"unknown key 'extra'", file(R"({"a":{"extra":1}})")},
      {"an object where an array", file(R"({"a":{"shape":{}}})")},
      {"an array where a string", file(R"({"a":{"dtype":["U8"]}})")},
      {"an array where integers", file(R"({"a":{"shape":)" + deep)},
      {"hold 2 bytes, but BF16 [2] has 4", file(tensor("\"BF16\"", "[2]", "[0,2]"), 2)},
      {"a number where a string", file(tensor("8", "[1]", "[0,1]"), 1)},
      {"a negative number", file(tensor("\"U8\"", "[-1]", "[0,1]"), 1)},
      {"a fraction", file(tensor("\"U8\"", "[1.0]", "[0,1]"), 1)},
      {"beyond 64 bits", file(tensor("\"U8\"", "[18446744073709551616]", "[0,1]"), 1)},
      {"not valid JSON", file(tensor("\"U8\"", "[1e999]", "[0,1]"), 1)},
      {"true or false", file(tensor("\"U8\"", "[true]", "[0,1]"), 1)},
      {"a string where integers", file(tensor("\"U8\"", "[\"1\"]", "[0,1]"), 1)},
      {"1 data_offsets", file(tensor("\"U8\"", "[1]", "[0]"), 1)},
      {"3 data_offsets", file(tensor("\"U8\"", "[1]", "[0,1,1]"), 1)},
      {"hold 4 bytes, but F32 [2] has 8", file(tensor("\"F32\"", "[2]", "[0,4]"), 4)},
      {"hold 8 bytes, but F32 [] has 4", file(tensor("\"F32\"", "[]", "[0,8]"), 8)},
      // 2^62 * 4 and 2^32 * 2^32 wrap to 0; a further size of 0 does not excuse them.
      {"has too many bytes", file(tensor("\"F32\"", "[4611686018427387904]", "[0,0]"))},
      {"has too many bytes", file(tensor("\"U8\"", "[4294967296,4294967296]", "[0,0]"))},
      {"has too many bytes", file(tensor("\"U8\"", "[4294967296,4294967296,0]", "[0,0]"))},
      {"end before they begin", file(tensor("\"U8\"", "[1]", "[1,0]"), 1)},
      {"beyond the 1 bytes of data", file(tensor("\"U8\"", "[2]", "[0,2]"), 1)},
      {"beyond the 1 bytes of data",
       file(tensor("\"U8\"", "[18446744073709551615]", "[0,18446744073709551615]"), 1)},
      {"leave a gap after 0", file(tensor("\"U8\"", "[1]", "[1,2]"), 2)},
      {"2 bytes of data, but the tensors end at 1", file(tensor("\"U8\"", "[1]", "[0,1]"), 2)},
      {"1 bytes of data, but the tensors end at 0", file("{}", 1)},
      {"tensor 'b': data_offsets [2, 6] overlap", file(two("[0,4]", "[2,6]"), 8)},
      {"overlap", file(two("[0,4]", "[0,4]"), 4)},
      {"tensor 'b': data_offsets [5, 9] leave a gap after 4", file(two("[0,4]", "[5,9]"), 9)},
  };
  for (const Case& c : cases) {
    EXPECT_THAT([&] { parse_safetensors(c.bytes, "model.safetensors"); },
                ThrowsMessage<Error>(AllOf(HasSubstr("model.safetensors"), HasSubstr(c.message))));
    expect_parsed_or_refused(c.bytes);
  }
}

TEST(Safetensors, NamesFromTheFileKeepMessagesShort) {
  expect_parsed_or_refused(file(R"({"a\n\n\n\n\n\u0007b":1})"));
  expect_parsed_or_refused(file("{\"" + std::string(100000, 'x') + "\":1}"));
  std::string shape = "1";
  for (int i = 0; i < 10000; ++i) shape += ",1";
  expect_parsed_or_refused(
      file(R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,0]}})"));
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string bytes = format_safetensors(make_content());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(parse_safetensors(bytes.substr(0, size), "model.safetensors"), Error) << size;
    expect_parsed_or_refused(bytes.substr(0, size));
  }
  EXPECT_THROW(parse_safetensors(bytes + "x", "model.safetensors"), Error);
}

TEST(Safetensors, EveryDamagedByteOfTheHeaderParsesOrIsRefused) {
  std::string bytes = format_safetensors(make_content());
  std::uint64_t size;
  std::memcpy(&size, bytes.data(), 8);
  for (std::size_t at = 0; at < 8 + size; ++at) {
    const char before = bytes[at];
    for (int value = 0; value < 256; ++value) {
      bytes[at] = static_cast<char>(value);
      expect_parsed_or_refused(bytes);
    }
    bytes[at] = before;
  }
}

TEST(Safetensors, EveryMissingByteOfTheHeaderParsesOrIsRefused) {
  const std::string bytes = format_safetensors(make_content());
  std::uint64_t size;
  std::memcpy(&size, bytes.data(), 8);
  const std::string header = bytes.substr(8, size), data = bytes.substr(8 + size);
  for (std::size_t at = 0; at < size; ++at) {
    std::string shorter = header;
    shorter.erase(at, 1);
    expect_parsed_or_refused(file(shorter) + data);
  }
}

TEST(Safetensors, TensorsCheckTypeAndShape) {
  const Tensor tensor = Tensor::from(std::vector<float>{1, 2}, {2});
  EXPECT_THAT(
      [&] {
        tensor.floats({2, 1}, "layer.bias");
      },
      ThrowsMessage<Error>("layer.bias: 'F32' [2], expected 'F32' [2, 1]"));
  EXPECT_THROW(tensor.doubles({2}, "layer.bias"), Error);
  EXPECT_THROW(Tensor::from(std::vector<float>{1, 2}, {3}), Error);
  EXPECT_EQ(Tensor::from(std::vector<float>{4}, {}).floats({}, "s"), std::vector<float>{4});
  EXPECT_TRUE(Tensor::from(std::vector<float>{}, {0}).floats({0}, "e").empty());
  Tensor cut = tensor;
  cut.bytes.pop_back();
  EXPECT_THROW(cut.floats({2}, "cut"), Error);
}

// Tensors that are not accessed may be of any type; they are written as they were read.
TEST(Safetensors, KeepsTensorsOfOtherTypes) {
  Safetensors content;
  content.tensors["w"] = Tensor::from(std::vector<float>{1, 2}, {2});
  for (const auto& [dtype, shape, bytes] :
       std::vector<std::tuple<std::string, std::vector<std::uint64_t>, std::size_t>>{
           {"BOOL", {3}, 3},
           {"F16", {2, 2}, 8},
           {"BF16", {1}, 2},
           {"U16", {1}, 2},
           {"U32", {2}, 8},
           {"U64", {1}, 8},
           {"F8_E4M3", {5}, 5},
           {"F4", {4}, 2},
           {"C64", {1}, 8},
           {"F6_E2M3", {4}, 3},
           {"NEW", {7}, 5}}) {
    content.tensors["extra " + dtype] = {dtype, shape, std::string(bytes, 'x')};
  }
  const Safetensors read = parse_safetensors(format_safetensors(content), "m");
  EXPECT_EQ(read.tensors.size(), content.tensors.size());
  EXPECT_EQ(read.tensors.at("w").floats({2}, "w"), (std::vector<float>{1, 2}));
  for (const auto& [name, tensor] : content.tensors) {
    EXPECT_EQ(read.tensors.at(name).bytes, tensor.bytes) << name;
  }
  EXPECT_THAT([&] { (void)read.tensors.at("extra BOOL").floats({3}, "m: tensor 'mask'"); },
              ThrowsMessage<Error>("m: tensor 'mask': 'BOOL' [3], expected 'F32' [3]"));
}

TEST(Safetensors, RefusesWhatIsUnknown) {
  Safetensors known, found;
  known.tensors["w"] = known.tensors["b"] = Tensor::from(std::vector<float>{1}, {1});
  known.metadata["format"] = "1";
  found.tensors["w"] = Tensor::from(std::vector<float>{2}, {1});
  const auto check = [&] { refuse_unknown(found, known, "m"); };
  EXPECT_NO_THROW(check());
  found.metadata["formt"] = "1";
  EXPECT_THAT(check, ThrowsMessage<Error>("m: unknown key 'formt' in the metadata"));
  found.tensors["W"] = found.tensors["w"];
  EXPECT_THAT(check, ThrowsMessage<Error>("m: unknown tensor 'W'"));
}

TEST(Safetensors, RefusesToWriteWhatItCouldNotRead) {
  const auto with = [](const std::string& name, Tensor tensor) {
    Safetensors content;
    content.tensors[name] = std::move(tensor);
    return content;
  };
  EXPECT_THROW(format_safetensors(with("__metadata__", {"U8", {0}, ""})), Error);
  EXPECT_THROW(format_safetensors(with("w", {"F16", {1}, "x"})), Error);
  EXPECT_THROW(format_safetensors(with("w", {"U8", {3}, "xx"})), Error);
  EXPECT_THROW(format_safetensors(with("\xff", {"U8", {0}, ""})), Error);
  Safetensors content;
  content.metadata["k"] = "\xc3";
  EXPECT_THROW(format_safetensors(content), Error);
}

}  // namespace
}  // namespace crosstate::formats
