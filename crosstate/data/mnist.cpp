#include "crosstate/data/mnist.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/shipped.h"
#include "crosstate/base/utf8.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  }
  return value;
}

std::string hex(std::uint32_t value) {
  char text[11];
  std::snprintf(text, sizeof text, "0x%08x", value);
  return text;
}

std::string shape_text(const std::vector<std::uint32_t>& dimensions) {
  std::string text;
  for (std::uint32_t d : dimensions) text += (text.empty() ? "" : " x ") + std::to_string(d);
  return text;
}

constexpr const char* kParts[] = {"train", "t10k"};
constexpr const char* kKinds[] = {"-images-idx3-ubyte", "-labels-idx1-ubyte"};

// The places where a file of this name may be, in order of preference: the plain file, the
// compressed one, and either of them in a folder of the same name.
std::vector<fs::path> places_of(const std::string& name) {
  std::string dotted = name;
  dotted[dotted.find("-idx")] = '.';
  const std::vector<std::string> files = {name, dotted, name + ".gz", dotted + ".gz"};
  std::vector<fs::path> places(files.begin(), files.end());
  for (const std::string& folder : {name, dotted}) {
    for (const std::string& file : files) places.push_back(fs::path(folder) / file);
  }
  return places;
}

// Empty if there is no such file.
fs::path place_of(const fs::path& directory, const std::string& name) {
  std::error_code ignored;
  for (const fs::path& place : places_of(name)) {
    const fs::file_status status = fs::status(directory / place, ignored);
    if (fs::exists(status) && !fs::is_directory(status)) return directory / place;
  }
  return {};
}

// Files with similar names, for the error message.
std::string similar_names(const fs::path& directory) {
  constexpr std::size_t kMost = 4;
  std::set<fs::path> known, names;
  for (const char* part : kParts) {
    for (const char* kind : kKinds) {
      for (const fs::path& place : places_of(std::string(part) + kind)) known.insert(place);
    }
  }
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const fs::path name = it->path().filename();
    const bool similar = name.string().find("ubyte") != std::string::npos;
    if (similar && !known.contains(name)) names.insert(name);
  }
  std::string text;
  std::size_t named = 0;
  for (const fs::path& name : names) {
    text += named == 0 ? "; there is " : ", ";
    if (++named > kMost) return text + "...";
    text += excerpt(name.string());
  }
  return text;
}

fs::path find_idx(const fs::path& directory, const std::string& name) {
  const fs::path place = place_of(directory, name);
  if (!place.empty()) return place;
  fail(directory.string(),
       "found neither " + name + " nor " + name + ".gz" + similar_names(directory));
}

struct Part {
  Dataset set;                       // the names of the classes are set once both parts are known
  std::vector<std::uint32_t> image;  // rows, columns
};

Part read_part(const fs::path& directory, const std::string& prefix, std::string name) {
  const fs::path image_path = find_idx(directory, prefix + "-images-idx3-ubyte");
  const fs::path label_path = find_idx(directory, prefix + "-labels-idx1-ubyte");
  const IdxArray images = read_idx(image_path);
  const IdxArray labels = read_idx(label_path);
  if (images.dimensions.size() != 3) {
    fail(image_path.string(), std::to_string(images.dimensions.size()) +
                                  " dimensions, expected 3 (images, rows, columns)");
  }
  if (labels.dimensions.size() != 1) {
    fail(label_path.string(),
         std::to_string(labels.dimensions.size()) + " dimensions, expected 1 (labels)");
  }
  if (images.data.empty()) {
    fail(image_path.string(), "no pixels: the dimensions are " + shape_text(images.dimensions));
  }
  if (labels.dimensions[0] != images.dimensions[0]) {
    fail(label_path.string(), std::to_string(labels.dimensions[0]) + " labels, but " +
                                  image_path.filename().string() + " has " +
                                  std::to_string(images.dimensions[0]) + " images");
  }

  Dataset set;
  set.name = std::move(name);
  set.count = images.dimensions[0];
  set.length = images.data.size() / set.count;
  set.rows = images.dimensions[1];
  set.values.resize(images.data.size());
  std::transform(images.data.begin(), images.data.end(), set.values.begin(),
                 [](std::uint8_t v) { return static_cast<float>(v) / 255.0f; });
  set.targets.assign(labels.data.begin(), labels.data.end());
  return {std::move(set), {images.dimensions[1], images.dimensions[2]}};
}

}  // namespace

bool holds_mnist(const fs::path& directory) {
  for (const char* part : kParts) {
    for (const char* kind : kKinds) {
      if (!place_of(directory, std::string(part) + kind).empty()) return true;
    }
  }
  return false;
}

IdxArray read_idx(const fs::path& path) { return parse_idx(read_file(path), path.string()); }

IdxArray parse_idx(const std::string& bytes, const std::string& where) {
  if (bytes.size() < 4) {
    fail(where, std::to_string(bytes.size()) + " bytes, expected an IDX header");
  }

  // Magic number: two zero bytes, element type (8: unsigned byte), number of dimensions.
  const std::uint32_t magic = big_endian(bytes, 0);
  const std::size_t rank = magic & 0xff;
  if (magic >> 16 == 0x1f8b) fail(where, "is gzip data, expected a file name that ends in .gz");
  if (magic >> 8 != 0x08 || rank == 0) {
    fail(where, "magic " + hex(magic) +
                    ", expected 0x00000801 (labels) or 0x00000803 (images), unsigned bytes");
  }
  const std::size_t header = 4 + 4 * rank;
  if (bytes.size() < header) {
    fail(where, "truncated header: " + std::to_string(bytes.size()) + " bytes, expected " +
                    std::to_string(header));
  }

  IdxArray array;
  std::size_t total = 1;
  bool overflow = false;
  for (std::size_t k = 0; k < rank; ++k) {
    const std::uint32_t d = big_endian(bytes, 4 + 4 * k);
    array.dimensions.push_back(d);
    overflow = overflow || (d != 0 && total > std::numeric_limits<std::size_t>::max() / d);
    total *= d;
  }
  if (overflow || total != bytes.size() - header) {
    // A damaged rank byte can announce hundreds of dimensions; print only the first few.
    std::vector<std::uint32_t> shown = array.dimensions;
    shown.resize(std::min<std::size_t>(shown.size(), 4));
    fail(where, std::to_string(bytes.size() - header) + " bytes of data, but the dimensions are " +
                    shape_text(shown) + (rank > shown.size() ? " x ..." : ""));
  }
  array.data.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
  return array;
}

TrainTest read_mnist(const fs::path& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    fail(directory.string(), "no such directory, expected one with the MNIST files");
  }
  const fs::path resolved = fs::weakly_canonical(directory, error);
  const std::string base = as_utf8((error ? directory : resolved).filename().string());

  Part train = read_part(directory, "train", base + " train");
  Part test = read_part(directory, "t10k", base + " test");
  if (train.image != test.image) {
    fail(directory.string(), "training images of " + shape_text(train.image) +
                                 " pixels, but test images of " + shape_text(test.image));
  }
  TrainTest sets{std::move(train.set), std::move(test.set)};

  // The classes cover all labels up to the highest, including those that are absent from a part or
  // from both.
  std::set<int> present;
  for (const Dataset* set : {&sets.train, &sets.test}) {
    for (const float label : set->targets) present.insert(static_cast<int>(label));
  }
  const int highest = *present.rbegin();
  if (present.size() < 2) {
    fail(directory.string(), "all images have the label " + std::to_string(highest) +
                                 ", expected at least two classes");
  }
  for (Dataset* set : {&sets.train, &sets.test}) {
    for (int label = 0; label <= highest; ++label) {
      set->readout.names.push_back(std::to_string(label));
    }
  }
  return sets;
}

TrainTest read_mnist_sample() { return read_mnist(shipped("mnist-sample")); }

}  // namespace crosstate::data
