#include "crosstate/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"

namespace crosstate::formats {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensor bytes are little-endian and copied as they are");

constexpr std::size_t kPrefix = 8;                // length of the header, little-endian
constexpr std::uint64_t kMostHeader = 100000000;  // bytes; limit of the format
constexpr const char* kMetadata = "__metadata__";

struct ElementType {
  const char* name;
  unsigned bits;
};
constexpr ElementType kTypes[] = {{"F32", 32},    {"F64", 64},    {"I8", 8},      {"I16", 16},
                                  {"I32", 32},    {"I64", 64},    {"U8", 8},      {"U16", 16},
                                  {"U32", 32},    {"U64", 64},    {"BOOL", 8},    {"F16", 16},
                                  {"BF16", 16},   {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8},
                                  {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},      {"C64", 64}};

/// Text from a file, sanitised for an error message: one line, printable, of limited length.
std::string printable(const std::string& text) {
  constexpr std::size_t kShown = 60;
  std::string result = "'";
  for (std::size_t i = 0; i < std::min(text.size(), kShown); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    result += c < 0x20 || c >= 0x7f ? '?' : text[i];
  }
  return result + (text.size() > kShown ? "...'" : "'");
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  constexpr std::size_t kShown = 8;
  std::string text = "[";
  for (std::size_t i = 0; i < std::min(shape.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + (shape.size() > kShown ? ", ...]" : "]");
}

/// The number of bytes of a tensor of this type and shape, nothing for an unknown type; throws on
/// overflow.
std::optional<std::uint64_t> byte_count(const std::string& dtype,
                                        const std::vector<std::uint64_t>& shape,
                                        const std::string& where) {
  const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const ElementType& t) { return t.name == dtype; });
  if (type == std::end(kTypes)) return std::nullopt;
  // Counted in bytes for types of whole bytes, else in bits.
  const bool whole = type->bits % 8 == 0;
  std::uint64_t count = whole ? type->bits / 8 : type->bits;
  for (std::uint64_t d : shape) {
    if (d != 0 && count > std::numeric_limits<std::uint64_t>::max() / d) {
      fail(where, "shape " + shape_text(shape) + " has too many bytes");
    }
    count *= d;
  }
  return whole ? count : count / 8 + (count % 8 > 0);
}

/// A tensor as described by the header.
struct Entry {
  std::string name, dtype;
  std::vector<std::uint64_t> shape, offsets;
  std::set<std::string> keys;  // present in the header
};

/// Receives the JSON of the header event by event, so that only the expected structure is ever
/// stored: deep nesting, repeated keys and wrong types stop the parser immediately.
class HeaderReader {
 public:
  using Json = nlohmann::json;
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  HeaderReader(const std::string& where, std::map<std::string, std::string>& metadata)
      : where_(where), metadata_(metadata) {}

  std::vector<Entry> entries;

  bool start_object(std::size_t) {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = in_metadata_ ? Place::kTexts : Place::kTensor;
    } else {
      refuse("an object");
    }
    return true;
  }

  bool key(string_t& name) {
    switch (place_) {
      case Place::kTop:
        if (!names_.insert(name).second) repeated(name);
        in_metadata_ = name == kMetadata;
        if (!in_metadata_) entries.push_back({name, {}, {}, {}, {}});
        break;
      case Place::kTexts:
        if (metadata_.contains(name)) repeated(name);
        metadata_key_ = name;
        break;
      default: {
        Entry& entry = entries.back();
        if (name != "dtype" && name != "shape" && name != "data_offsets") {
          fail(inside(),
               "unknown key " + printable(name) + ", expected dtype, shape and data_offsets");
        }
        if (!entry.keys.insert(name).second) repeated(name);
        field_ = name;
      }
    }
    return true;
  }

  bool end_object() {
    if (place_ == Place::kTensor) {
      for (const char* key : {"dtype", "shape", "data_offsets"}) {
        if (!entries.back().keys.contains(key)) fail(inside(), std::string("no ") + key);
      }
    }
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ != Place::kTensor || field_ == "dtype") refuse("an array");
    place_ = Place::kNumbers;
    return true;
  }

  bool end_array() {
    if (field_ == "data_offsets" && entries.back().offsets.size() != 2) {
      fail(inside(),
           std::to_string(entries.back().offsets.size()) + " data_offsets, expected begin and end");
    }
    place_ = Place::kTensor;
    return true;
  }

  bool string(string_t& text) {
    if (place_ == Place::kTexts) {
      metadata_.emplace(std::move(metadata_key_), std::move(text));
    } else if (place_ == Place::kTensor && field_ == "dtype") {
      entries.back().dtype = std::move(text);
    } else {
      refuse("a string");
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t value) {
    if (place_ != Place::kNumbers) refuse("a number");
    Entry& entry = entries.back();
    (field_ == "shape" ? entry.shape : entry.offsets).push_back(value);
    return true;
  }

  bool number_integer(number_integer_t) { refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) {
    refuse("a fraction or a number beyond 64 bits");
  }
  bool null() { refuse("null"); }
  bool boolean(bool) { refuse("true or false"); }
  bool binary(binary_t&) { refuse("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) {
    fail(where_, "the header is not valid JSON at its byte " + std::to_string(position));
  }

 private:
  enum class Place { kStart, kTop, kTexts, kTensor, kNumbers, kEnd };

  std::string inside() const {
    if (place_ == Place::kStart || names_.empty()) return where_ + ": header";
    if (in_metadata_) return where_ + ": " + kMetadata;
    return where_ + ": tensor " + printable(entries.back().name);
  }

  [[noreturn]] void repeated(const std::string& name) const {
    fail(where_, "key " + printable(name) + " is repeated in the header");
  }

  [[noreturn]] void refuse(const std::string& what) const {
    const char* expected = "an object";
    if (place_ == Place::kTexts) expected = "a string";
    if (place_ == Place::kTensor) {
      expected = field_ == "dtype" ? "a string" : "an array of integers";
    }
    if (place_ == Place::kNumbers) expected = "integers";
    fail(inside(), what + " where " + expected + " was expected");
  }

  const std::string& where_;
  std::map<std::string, std::string>& metadata_;
  std::set<std::string> names_;
  Place place_ = Place::kStart;
  bool in_metadata_ = false;
  std::string metadata_key_, field_;
};

/// Sorts the tensors by offset; in this order they must cover the data exactly.
void check_layout(std::vector<Entry>& entries, std::size_t data_size, const std::string& where) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  std::uint64_t covered = 0;
  for (const Entry& entry : entries) {
    const std::string tensor_where = where + ": tensor " + printable(entry.name);
    const std::uint64_t begin = entry.offsets[0], end = entry.offsets[1];
    const std::string range = "data_offsets " + shape_text(entry.offsets);
    if (begin > end) fail(tensor_where, range + " end before they begin");
    if (end > data_size) {
      fail(tensor_where,
           range + " reach beyond the " + std::to_string(data_size) + " bytes of data");
    }
    if (begin != covered) {
      fail(tensor_where, range +
                             (begin < covered ? " overlap the previous tensor, which ends at "
                                              : " leave a gap after ") +
                             std::to_string(covered));
    }
    const auto expected = byte_count(entry.dtype, entry.shape, tensor_where);
    if (expected && end - begin != *expected) {
      fail(tensor_where, range + " hold " + std::to_string(end - begin) + " bytes, but " +
                             entry.dtype + " " + shape_text(entry.shape) + " has " +
                             std::to_string(*expected));
    }
    covered = end;
  }
  if (covered != data_size) {
    fail(where, std::to_string(data_size) + " bytes of data, but the tensors end at " +
                    std::to_string(covered));
  }
}

template <class T>
Tensor pack(const char* dtype, const std::vector<T>& values, std::vector<std::uint64_t> shape) {
  Tensor tensor{dtype, std::move(shape), std::string(values.size() * sizeof(T), '\0')};
  if (byte_count(dtype, tensor.shape, "tensor") != tensor.bytes.size()) {
    fail("tensor", std::to_string(values.size()) + " values do not fill the shape " +
                       shape_text(tensor.shape));
  }
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

void check_bytes(const Tensor& tensor, const std::string& where) {
  const auto expected = byte_count(tensor.dtype, tensor.shape, where);
  if (expected && tensor.bytes.size() != *expected) {
    fail(where, std::to_string(tensor.bytes.size()) + " bytes, but " + tensor.dtype + " " +
                    shape_text(tensor.shape) + " has " + std::to_string(*expected));
  }
}

template <class T>
std::vector<T> unpack(const char* dtype, const Tensor& tensor,
                      const std::vector<std::uint64_t>& expected_shape, const std::string& where) {
  if (tensor.dtype != dtype || tensor.shape != expected_shape) {
    fail(where, printable(tensor.dtype) + " " + shape_text(tensor.shape) + ", expected '" + dtype +
                    "' " + shape_text(expected_shape));
  }
  check_bytes(tensor, where);
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

}  // namespace

Tensor Tensor::from(const std::vector<float>& values, std::vector<std::uint64_t> shape) {
  return pack("F32", values, std::move(shape));
}

Tensor Tensor::from(const std::vector<double>& values, std::vector<std::uint64_t> shape) {
  return pack("F64", values, std::move(shape));
}

Tensor Tensor::from(const std::vector<std::int16_t>& values, std::vector<std::uint64_t> shape) {
  return pack("I16", values, std::move(shape));
}

Tensor Tensor::from(const std::vector<std::int32_t>& values, std::vector<std::uint64_t> shape) {
  return pack("I32", values, std::move(shape));
}

Tensor Tensor::from(const std::vector<std::int64_t>& values, std::vector<std::uint64_t> shape) {
  return pack("I64", values, std::move(shape));
}

template <>
std::vector<std::int16_t> Tensor::integers(const std::vector<std::uint64_t>& expected_shape,
                                           const std::string& where) const {
  return unpack<std::int16_t>("I16", *this, expected_shape, where);
}

template <>
std::vector<std::int32_t> Tensor::integers(const std::vector<std::uint64_t>& expected_shape,
                                           const std::string& where) const {
  return unpack<std::int32_t>("I32", *this, expected_shape, where);
}

template <>
std::vector<std::int64_t> Tensor::integers(const std::vector<std::uint64_t>& expected_shape,
                                           const std::string& where) const {
  return unpack<std::int64_t>("I64", *this, expected_shape, where);
}

std::vector<float> Tensor::floats(const std::vector<std::uint64_t>& expected_shape,
                                  const std::string& where) const {
  return unpack<float>("F32", *this, expected_shape, where);
}

std::vector<double> Tensor::doubles(const std::vector<std::uint64_t>& expected_shape,
                                    const std::string& where) const {
  return unpack<double>("F64", *this, expected_shape, where);
}

Safetensors parse_safetensors(const std::string& bytes, const std::string& where) {
  if (bytes.size() < kPrefix) {
    fail(where, "truncated: " + std::to_string(bytes.size()) + " bytes, expected at least 8");
  }
  std::uint64_t header_size;
  std::memcpy(&header_size, bytes.data(), kPrefix);
  if (header_size > kMostHeader) {
    fail(where, "not a safetensors file, or damaged: header of " + std::to_string(header_size) +
                    " bytes, expected at most " + std::to_string(kMostHeader));
  }
  if (header_size > bytes.size() - kPrefix) {
    fail(where, "truncated: header of " + std::to_string(header_size) + " bytes in a file of " +
                    std::to_string(bytes.size()));
  }

  // The JSON parser would treat NUL as the end of its input and skip a byte order mark.
  const char* header = bytes.data() + kPrefix;
  if (header_size == 0 || header[0] != '{') fail(where, "the header does not begin with '{'");
  if (std::memchr(header, 0, header_size) != nullptr) {
    fail(where, "the header contains a NUL byte");
  }
  Safetensors content;
  HeaderReader reader(where, content.metadata);
  nlohmann::json::sax_parse(header, header + header_size, &reader);

  std::vector<Entry>& entries = reader.entries;
  const std::size_t data = kPrefix + header_size;
  check_layout(entries, bytes.size() - data, where);

  for (Entry& entry : entries) {
    const std::uint64_t begin = entry.offsets[0], end = entry.offsets[1];
    content.tensors.emplace(std::move(entry.name),
                            Tensor{std::move(entry.dtype), std::move(entry.shape),
                                   bytes.substr(data + begin, end - begin)});
  }
  return content;
}

void refuse_unknown(const Safetensors& content, const Safetensors& known,
                    const std::string& where) {
  for (const auto& [name, tensor] : content.tensors) {
    if (!known.tensors.contains(name)) fail(where, "unknown tensor '" + excerpt(name) + '\'');
  }
  for (const auto& [key, value] : content.metadata) {
    if (!known.metadata.contains(key)) {
      fail(where, "unknown key '" + excerpt(key) + "' in the metadata");
    }
  }
}

Safetensors read_safetensors(const std::filesystem::path& path) {
  return parse_safetensors(read_file(path), path.string());
}

std::string format_safetensors(const Safetensors& content) {
  // Entries are sorted by name, so equal contents give equal bytes.
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!content.metadata.empty()) header[kMetadata] = content.metadata;
  std::uint64_t covered = 0;
  for (const auto& [name, tensor] : content.tensors) {
    const std::string where = "tensor " + printable(name);
    if (name == kMetadata) fail(where, "this name is reserved");
    check_bytes(tensor, where);
    nlohmann::ordered_json entry;
    entry["dtype"] = tensor.dtype;
    entry["shape"] = tensor.shape;
    entry["data_offsets"] = {covered, covered + tensor.bytes.size()};
    header[name] = std::move(entry);
    covered += tensor.bytes.size();
  }

  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    fail("safetensors", "a name or a metadata text is not valid UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMostHeader) {
    fail("safetensors", "header of " + std::to_string(text.size()) + " bytes, expected at most " +
                            std::to_string(kMostHeader));
  }

  const std::uint64_t header_size = text.size();
  std::string bytes(kPrefix, '\0');
  std::memcpy(bytes.data(), &header_size, kPrefix);
  bytes.reserve(kPrefix + text.size() + covered);
  bytes += text;
  for (const auto& [name, tensor] : content.tensors) bytes += tensor.bytes;
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, const Safetensors& content) {
  write_file(path, format_safetensors(content));
}

}  // namespace crosstate::formats
