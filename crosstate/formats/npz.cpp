// Reads and writes the container of numpy.savez(): a zip archive of .npy arrays.
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/formats/matrix.h"

namespace crosstate::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are little-endian files");

constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEndOfDirectory = 0x06054b50;
constexpr std::size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22;
constexpr std::string_view kMagic("\x93NUMPY", 6);

// --- writing
// -------------------------------------------------------------------------------------------

template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string format_npy(const std::string& type, const std::vector<std::size_t>& shape,
                       std::string_view data) {
  std::string sizes;
  for (const std::size_t size : shape) sizes += std::to_string(size) + ", ";
  // A tuple of one keeps its comma.
  if (!sizes.empty()) sizes.resize(sizes.size() - (shape.size() == 1 ? 1 : 2));
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
  // The data begin at a multiple of 64 bytes.
  constexpr std::size_t kPrefix = 10, kAlign = 64;
  header.append((kAlign - (kPrefix + header.size() + 1) % kAlign) % kAlign, ' ');
  header += '\n';
  std::string bytes(kMagic);
  bytes += {'\1', '\0'};
  append(bytes, static_cast<std::uint16_t>(header.size()));
  bytes += header;
  bytes += data;
  return bytes;
}

std::uint32_t checksum(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// The fields shared by the header before an entry and its record in the directory.
void append_entry(std::string& bytes, const std::string& name, std::string_view data) {
  constexpr std::uint16_t kVersion = 20, kStored = 0, kMidnight = 0, kFirstOf1980 = 0x21;
  append(bytes, kVersion);
  append(bytes, std::uint16_t{0});  // flags
  append(bytes, kStored);
  append(bytes, kMidnight);
  append(bytes, kFirstOf1980);
  append(bytes, checksum(data));
  append(bytes, static_cast<std::uint32_t>(data.size()));
  append(bytes, static_cast<std::uint32_t>(data.size()));
  append(bytes, static_cast<std::uint16_t>(name.size()));
  append(bytes, std::uint16_t{0});  // no extra field
}

// --- reading
// -------------------------------------------------------------------------------------------

// Bounds-checked access to the bytes of a file.
class Bytes {
 public:
  Bytes(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::size_t size() const { return bytes_.size(); }

  std::string_view part(std::size_t at, std::size_t count) const {
    if (at > bytes_.size() || count > bytes_.size() - at) fail(where_, "ends too early");
    return bytes_.substr(at, count);
  }

  template <class T>
  T number(std::size_t at) const {
    T value;
    std::memcpy(&value, part(at, sizeof value).data(), sizeof value);
    return value;
  }

 private:
  std::string_view bytes_;
  const std::string& where_;
};

// One record of the directory.
struct Entry {
  std::string name;
  std::uint16_t flags, method;
  std::uint32_t checksum;
  std::size_t packed, size, header;
};

std::size_t find_directory_end(const Bytes& file, const std::string& where) {
  constexpr std::size_t kMostComment = 0xffff;
  if (file.size() >= kEndSize) {
    const std::size_t last = file.size() - kEndSize;
    for (std::size_t back = 0; back <= std::min(last, kMostComment); ++back) {
      if (file.number<std::uint32_t>(last - back) == kEndOfDirectory) return last - back;
    }
  }
  fail(where, "no zip directory at the end, expected an NPZ file");
}

Entry read_entry(const Bytes& file, std::size_t at, const std::string& where) {
  if (file.number<std::uint32_t>(at) != kCentralHeader) fail(where, "damaged zip directory");
  Entry entry;
  entry.flags = file.number<std::uint16_t>(at + 8);
  entry.method = file.number<std::uint16_t>(at + 10);
  entry.checksum = file.number<std::uint32_t>(at + 16);
  entry.packed = file.number<std::uint32_t>(at + 20);
  entry.size = file.number<std::uint32_t>(at + 24);
  entry.name = file.part(at + kCentralSize, file.number<std::uint16_t>(at + 28));
  entry.header = file.number<std::uint32_t>(at + 42);
  return entry;
}

std::string inflate_raw(std::string_view packed, std::size_t size, const std::string& where) {
  // Deflate compresses by at most about 1032; a larger size indicates damage, and must not be
  // allocated.
  constexpr std::size_t kMostRatio = 1100;
  if (size / kMostRatio > packed.size()) fail(where, "more bytes than its deflated data can hold");
  std::string bytes(size, '\0');
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail(where, "zlib cannot start");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // zlib only reads
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  const int status = inflate(&stream, Z_FINISH);
  const bool complete = status == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!complete) fail(where, "damaged deflated data");
  return bytes;
}

std::string unpack(const Bytes& file, const Entry& entry, const std::string& where) {
  constexpr std::uint16_t kStored = 0, kDeflated = 8, kEncrypted = 1;
  constexpr std::size_t kZip64 = 0xffffffff;
  if (entry.packed == kZip64 || entry.size == kZip64 || entry.header == kZip64) {
    fail(where, "4 GiB or more, expected a smaller array");
  }
  if ((entry.flags & kEncrypted) != 0) fail(where, "is encrypted");
  if (file.number<std::uint32_t>(entry.header) != kLocalHeader) fail(where, "damaged zip header");
  const std::size_t data = entry.header + kLocalSize +
                           file.number<std::uint16_t>(entry.header + 26) +
                           file.number<std::uint16_t>(entry.header + 28);
  const std::string_view packed = file.part(data, entry.packed);
  std::string bytes;
  if (entry.method == kDeflated) {
    bytes = inflate_raw(packed, entry.size, where);
  } else if (entry.method == kStored && entry.packed == entry.size) {
    bytes = packed;
  } else {
    fail(where, "zip method " + std::to_string(entry.method) + ", expected stored or deflated");
  }
  if (checksum(bytes) != entry.checksum) fail(where, "its checksum is wrong");
  return bytes;
}

// The text after 'key': in the header of an array, which is a Python dictionary literal.
std::string_view header_value(std::string_view header, std::string_view key,
                              const std::string& where) {
  const std::string quoted = '\'' + std::string(key) + "':";
  const std::size_t at = header.find(quoted);
  if (at == std::string_view::npos) fail(where, "no " + std::string(key) + " in its header");
  header.remove_prefix(at + quoted.size());
  header.remove_prefix(std::min(header.size(), header.find_first_not_of(' ')));
  return header;
}

// "(3, 4)", "(3,)"; nothing for text that is not a shape.
std::optional<std::vector<std::size_t>> parse_shape(std::string_view text) {
  constexpr std::size_t kMostOfOne = std::size_t{1} << 31;
  if (text.empty() || text[0] != '(') return std::nullopt;
  text = text.substr(1, text.find(')') - 1);
  std::vector<std::size_t> sizes;
  while (!text.empty()) {
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc{} || size > kMostOfOne) return std::nullopt;
    sizes.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text[0] != ',') return std::nullopt;
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(", ")));
  }
  return sizes;
}

template <class T>
std::vector<double> read_values(std::string_view data, std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t k = 0; k < count; ++k) {
    T value;
    std::memcpy(&value, data.data() + k * sizeof value, sizeof value);
    values[k] = static_cast<double>(value);
  }
  return values;
}

// How to read the numbers of a NumPy type.
struct NumberType {
  std::string_view name;
  std::size_t bytes;
  std::vector<double> (*read)(std::string_view data, std::size_t count);
};
constexpr NumberType kNumberTypes[] = {
    {"'<f8'", 8, read_values<double>},        {"'<f4'", 4, read_values<float>},
    {"'<i8'", 8, read_values<std::int64_t>},  {"'<i4'", 4, read_values<std::int32_t>},
    {"'<i2'", 2, read_values<std::int16_t>},  {"'|i1'", 1, read_values<std::int8_t>},
    {"'<u8'", 8, read_values<std::uint64_t>}, {"'<u4'", 4, read_values<std::uint32_t>},
    {"'<u2'", 2, read_values<std::uint16_t>}, {"'|u1'", 1, read_values<std::uint8_t>},
    {"'|b1'", 1, read_values<std::uint8_t>}};
constexpr std::size_t kFloatTypes = 2;  // the first types are floats

NumberArray parse_npy(std::string_view bytes, std::span<const NumberType> types,
                      std::size_t most_dimensions, const std::string& where) {
  const Bytes file(bytes, where);
  if (!bytes.starts_with(kMagic)) fail(where, "is not a NumPy array");
  const bool is_long = file.number<std::uint8_t>(kMagic.size()) > 1;  // the version of the format
  const std::size_t length =
      is_long ? file.number<std::uint32_t>(8) : std::size_t{file.number<std::uint16_t>(8)};
  const std::size_t start = is_long ? 12 : 10;
  const std::string_view header = file.part(start, length);
  const std::string_view data = bytes.substr(start + length);

  const std::string_view name = header_value(header, "descr", where).substr(0, 5);
  const auto type = std::find_if(types.begin(), types.end(),
                                 [&](const NumberType& known) { return known.name == name; });
  if (type == types.end()) {
    fail(where, "type " + excerpt(name) + ", expected '<f8' or '<f4'" +
                    (types.size() > kFloatTypes ? ", or integers" : ""));
  }
  const bool by_columns = header_value(header, "fortran_order", where).starts_with("True");
  const auto shape = parse_shape(header_value(header, "shape", where));
  if (!shape || shape->empty() || shape->size() > most_dimensions) {
    fail(where, most_dimensions == 2 ? "expected an array of one or two dimensions"
                                     : "expected an array of one to three dimensions");
  }
  // Checked by division, since the product of the claimed sizes may overflow.
  std::size_t count = data.size() / type->bytes, left = count;
  std::string sizes;
  for (const std::size_t size : *shape) {
    sizes += (sizes.empty() ? "" : " x ") + std::to_string(size);
    left = size == 0 || left % size != 0 ? 0 : left / size;
  }
  if (left != 1 || data.size() % type->bytes != 0) {
    if (shape->size() == 1) sizes += " x 1";
    std::size_t expected = type->bytes;
    for (const std::size_t size : *shape) expected *= size;
    fail(where, std::to_string(data.size()) + " bytes of data for " + sizes +
                    " numbers, expected " + std::to_string(expected) + ", not 0");
  }
  NumberArray array{*shape, type->read(data, count)};
  if (!by_columns || shape->size() == 1) return array;
  if (shape->size() > 2) fail(where, "is in Fortran order, expected C order");
  const std::size_t rows = array.shape[0], columns = array.shape[1];
  std::vector<double> values(count);
  for (std::size_t k = 0; k < count; ++k) {
    values[k % rows * columns + k / rows] = array.values[k];
  }
  return {array.shape, std::move(values)};
}

// The arrays of an archive by name.
template <class Read>
void each_array(std::string_view bytes, const std::string& where, Read read) {
  constexpr std::string_view kSuffix = ".npy";
  const Bytes file(bytes, where);
  const std::size_t end = find_directory_end(file, where);
  const std::size_t count = file.number<std::uint16_t>(end + 10);
  std::size_t at = file.number<std::uint32_t>(end + 16);
  for (std::size_t n = 0; n < count; ++n) {
    const Entry entry = read_entry(file, at, where);
    at += kCentralSize + entry.name.size() + file.number<std::uint16_t>(at + 30) +
          file.number<std::uint16_t>(at + 32);
    if (!entry.name.ends_with(kSuffix)) continue;
    const std::string name = entry.name.substr(0, entry.name.size() - kSuffix.size());
    const std::string array = where + ": " + excerpt(name);
    read(name, unpack(file, entry, array), array);
  }
}

template <class T>
std::string bytes_of(const std::vector<std::int64_t>& values) {
  std::string bytes;
  for (const std::int64_t v : values) append(bytes, static_cast<T>(v));
  return bytes;
}

}  // namespace

NpzArray NpzArray::integers(std::string name, std::vector<std::size_t> shape,
                            const std::vector<std::int64_t>& values) {
  const auto fit = [&](auto type) {
    using T = decltype(type);
    return std::all_of(values.begin(), values.end(), [](std::int64_t v) {
      return v >= std::numeric_limits<T>::min() && v <= std::numeric_limits<T>::max();
    });
  };
  NpzArray array{std::move(name), "", std::move(shape), ""};
  if (fit(std::int8_t{})) {
    array.type = "|i1";
    array.bytes = bytes_of<std::int8_t>(values);
  } else if (fit(std::int16_t{})) {
    array.type = "<i2";
    array.bytes = bytes_of<std::int16_t>(values);
  } else if (fit(std::int32_t{})) {
    array.type = "<i4";
    array.bytes = bytes_of<std::int32_t>(values);
  } else {
    array.type = "<i8";
    array.bytes = bytes_of<std::int64_t>(values);
  }
  return array;
}

NpzArray NpzArray::text(std::string name, std::string text) {
  const std::string type = "|S" + std::to_string(std::max<std::size_t>(1, text.size()));
  return {std::move(name), type, {}, std::move(text)};
}

std::string format_npz(const std::vector<NamedMatrix>& matrices) {
  std::vector<NpzArray> arrays;
  for (const auto& [name, matrix] : matrices) {
    const auto* const data = reinterpret_cast<const char*>(matrix.values.data());
    arrays.push_back({name,
                      "<f8",
                      {matrix.rows, matrix.columns},
                      std::string(data, matrix.values.size() * sizeof(double))});
  }
  return format_npz_arrays(arrays);
}

std::string format_npz_arrays(const std::vector<NpzArray>& arrays) {
  constexpr std::uint16_t kVersion = 20;
  std::string bytes, directory;
  for (const NpzArray& array : arrays) {
    const std::string& key = array.name;
    const std::string name = key + ".npy", data = format_npy(array.type, array.shape, array.bytes);
    constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
    if (data.size() >= kMost || bytes.size() + data.size() >= kMost - kMost / 8) {
      fail(key, "too large for an NPZ file without extensions, expected less than 3.5 GiB");
    }
    append(directory, kCentralHeader);
    append(directory, kVersion);
    append_entry(directory, name, data);
    directory.append(10, '\0');  // no comment, first disk, no attributes
    append(directory, static_cast<std::uint32_t>(bytes.size()));
    directory += name;
    append(bytes, kLocalHeader);
    append_entry(bytes, name, data);
    bytes += name;
    bytes += data;
  }
  const auto count = static_cast<std::uint16_t>(arrays.size());
  const auto start = static_cast<std::uint32_t>(bytes.size());
  bytes += directory;
  append(bytes, kEndOfDirectory);
  append(bytes, std::uint32_t{0});  // the only disk
  append(bytes, count);
  append(bytes, count);
  append(bytes, static_cast<std::uint32_t>(directory.size()));
  append(bytes, start);
  append(bytes, std::uint16_t{0});  // no comment
  return bytes;
}

std::vector<NamedMatrix> parse_npz(std::string_view bytes, const std::string& where) {
  std::vector<NamedMatrix> matrices;
  each_array(
      bytes, where, [&](const std::string& name, const std::string& npy, const std::string& array) {
        NumberArray numbers = parse_npy(npy, std::span(kNumberTypes).first(kFloatTypes), 2, array);
        const std::size_t columns = numbers.shape.size() == 2 ? numbers.shape[1] : 1;
        matrices.emplace_back(name, Matrix{numbers.shape[0], columns, std::move(numbers.values)});
      });
  return matrices;
}

std::vector<std::pair<std::string, NumberArray>> parse_npz_numbers(std::string_view bytes,
                                                                   const std::string& where) {
  std::vector<std::pair<std::string, NumberArray>> arrays;
  each_array(bytes, where,
             [&](const std::string& name, const std::string& npy, const std::string& array) {
               arrays.emplace_back(name, parse_npy(npy, kNumberTypes, 3, array));
             });
  return arrays;
}

}  // namespace crosstate::formats
