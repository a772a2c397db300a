#include "crosstate/data/mnist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

#include "crosstate/base/error.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

const fs::path kSample = fs::path(CROSSTATE_SOURCE_DIR) / "data" / "mnist-sample";

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void spill(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string idx(std::uint32_t magic, const std::vector<std::uint32_t>& dimensions,
                const std::string& data) {
  std::string bytes;
  const auto put = [&](std::uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(v >> shift & 0xff);
  };
  put(magic);
  for (std::uint32_t d : dimensions) put(d);
  return bytes + data;
}

/// A directory with a valid tiny set: images of 2 x 3 pixels, three for training, one for testing.
class MnistFiles : public testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        fs::path(testing::TempDir()) /
        (std::string("crosstate_") + testing::UnitTest::GetInstance()->current_test_info()->name() +
         "_" + std::to_string(getpid()));
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    spill(train_images(),
          idx(0x803, {3, 2, 3},
              std::string("\x00\x33\xff\x01\x02\x03", 6) + std::string(12, '\x80')));
    spill(train_labels(), idx(0x801, {3}, std::string("\x00\x04\x00", 3)));
    spill(directory_ / "t10k-images-idx3-ubyte", idx(0x803, {1, 2, 3}, std::string(6, '\x7f')));
    spill(directory_ / "t10k-labels-idx1-ubyte", idx(0x801, {1}, "\x02"));
  }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path train_images() const { return directory_ / "train-images-idx3-ubyte"; }
  fs::path train_labels() const { return directory_ / "train-labels-idx1-ubyte"; }

  /// Replaces one file and expects an error with its name, and with `message`.
  void expect_error(const fs::path& path, const std::string& bytes, const std::string& message) {
    const std::string before = slurp(path);
    spill(path, bytes);
    EXPECT_THAT([&] { read_mnist(directory_); },
                ThrowsMessage<Error>(AllOf(HasSubstr(path.string()), HasSubstr(message))));
    spill(path, before);
  }

  fs::path directory_;
};

/// Sets an environment variable for one scope.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

void expect_digits(const Dataset& set, const std::string& name, std::size_t per_class) {
  set.validate();
  EXPECT_EQ(set.name, name);
  EXPECT_EQ(set.count, per_class * 10);
  EXPECT_EQ(set.length, 784u);
  EXPECT_EQ(set.channels, 1u);
  ASSERT_EQ(set.readout.names.size(), 10u);
  for (int label = 0; label < 10; ++label) {
    EXPECT_EQ(set.readout.names[static_cast<std::size_t>(label)], std::to_string(label));
    EXPECT_EQ(std::ranges::count(set.targets, static_cast<float>(label)),
              static_cast<std::ptrdiff_t>(per_class));
  }
  EXPECT_EQ(*std::ranges::min_element(set.values), 0.0f);
  EXPECT_EQ(*std::ranges::max_element(set.values), 1.0f);
  // The mean pixel of MNIST is 0.1307; the mean of the sample is close to it.
  double sum = 0;
  for (float v : set.values) sum += v;
  EXPECT_NEAR(sum / static_cast<double>(set.values.size()), 0.1307, 0.005);
}

TEST(MnistSample, IsBalancedAndInterleaved) {
  const Environment source("CROSSTATE_DATA_DIR", kSample.parent_path().string());
  const TrainTest sets = read_mnist_sample();
  expect_digits(sets.train, "mnist-sample train", 600);
  expect_digits(sets.test, "mnist-sample test", 100);
  for (std::size_t i = 0; i < sets.train.count; ++i) {
    ASSERT_EQ(sets.train.targets[i], static_cast<float>(i % 10));
  }
}

TEST(MnistSample, IsFoundWithoutTheEnvironment) {
  const Environment none("CROSSTATE_DATA_DIR", "");
  EXPECT_EQ(read_mnist_sample().test.count, 1000u);
}

TEST(MnistSample, EnvironmentOverrides) {
  const Environment missing("CROSSTATE_DATA_DIR", "no/such/place");
  EXPECT_THAT([] { read_mnist_sample(); },
              ThrowsMessage<Error>(HasSubstr("no/such/place/mnist-sample")));
}

TEST(MnistSample, IsDrawnFromTheFullSet) {
  const fs::path full = fs::path(CROSSTATE_SOURCE_DIR) / ".." / "shared" / "data" / "mnist";
  if (!fs::is_directory(full)) GTEST_SKIP() << "the full MNIST set is not there";
  const TrainTest all = read_mnist(full), sample = read_mnist(kSample);
  EXPECT_EQ(all.train.name, "mnist train");
  EXPECT_EQ(all.train.count, 60000u);
  EXPECT_EQ(all.test.count, 10000u);
  EXPECT_EQ(all.train.readout.names.size(), 10u);
  all.train.validate();
  all.test.validate();

  // The rule in data/mnist-sample/README.md: every k-th image of each class.
  const auto check = [](const Dataset& whole, const Dataset& part, std::size_t k) {
    std::vector<std::vector<std::size_t>> rows(10);
    for (std::size_t i = 0; i < whole.count; ++i) {
      rows[static_cast<std::size_t>(whole.targets[i])].push_back(i);
    }
    for (std::size_t i = 0; i < part.count; ++i) {
      ASSERT_TRUE(std::ranges::equal(part.sequence(i), whole.sequence(rows[i % 10][i / 10 * k])));
    }
  };
  check(all.train, sample.train, 9);
  check(all.test, sample.test, 8);
}

TEST_F(MnistFiles, PixelsLabelsAndClasses) {
  const TrainTest sets = read_mnist(directory_ / "");
  EXPECT_EQ(sets.train.name, directory_.filename().string() + " train");
  EXPECT_EQ(sets.train.length, 6u);
  EXPECT_EQ(sets.train.targets, (std::vector<float>{0, 4, 0}));
  EXPECT_EQ(sets.test.targets, std::vector<float>{2});
  // Labels 1 and 3 do not occur; both parts have all five classes.
  EXPECT_EQ(sets.train.readout.names, (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  EXPECT_EQ(sets.test.readout.names, sets.train.readout.names);
  EXPECT_EQ(sets.train.values[0], 0.0f);
  EXPECT_EQ(sets.train.values[1], 0.2f);
  EXPECT_EQ(sets.train.values[2], 1.0f);
  sets.train.validate();
  sets.test.validate();
}

TEST_F(MnistFiles, NamesOfSetsAreUtf8) {
  const fs::path raw = directory_ / "digits-\xff";
  fs::create_directory(raw);
  for (const auto& entry : fs::directory_iterator(directory_)) {
    if (entry.is_regular_file()) fs::copy(entry.path(), raw);
  }
  EXPECT_EQ(read_mnist(raw).train.name, "digits-\xef\xbf\xbd train");
}

TEST_F(MnistFiles, LabelsUpTo255) {
  spill(train_labels(), idx(0x801, {3}, "\xff\x01\x02"));
  EXPECT_EQ(read_mnist(directory_).train.targets[0], 255);
  EXPECT_EQ(read_mnist(directory_).test.readout.names.size(), 256u);
}

TEST_F(MnistFiles, MissingFilesNameBothSpellings) {
  fs::remove(train_labels());
  EXPECT_THAT([&] { read_mnist(directory_); },
              ThrowsMessage<Error>(AllOf(HasSubstr(directory_.string()),
                                         HasSubstr("neither train-labels-idx1-ubyte nor "
                                                   "train-labels-idx1-ubyte.gz"))));
  EXPECT_THAT([&] { read_mnist(directory_ / "none"); },
              ThrowsMessage<Error>(HasSubstr("no such directory")));
}

TEST_F(MnistFiles, NamesMayHaveADot) {
  const TrainTest before = read_mnist(directory_);
  for (const char* name : {"train-images", "train-labels", "t10k-images", "t10k-labels"}) {
    const std::string ending = std::string(name).ends_with("images") ? "idx3-ubyte" : "idx1-ubyte";
    fs::rename(directory_ / (name + ('-' + ending)), directory_ / (name + ('.' + ending)));
    EXPECT_TRUE(holds_mnist(directory_));
  }
  EXPECT_EQ(read_mnist(directory_).train.values, before.train.values);
  // Archives put a file into a folder of the same name, beside other files or alone.
  for (const std::string path : {"train-images.idx3-ubyte", "t10k-labels.idx1-ubyte"}) {
    std::string folder = path;
    folder[folder.find(".idx")] = '-';
    fs::create_directory(directory_ / folder);
    fs::rename(directory_ / path, directory_ / folder / folder);
  }
  fs::create_directory(directory_ / "train-labels-idx1-ubyte");
  EXPECT_EQ(read_mnist(directory_).train.values, before.train.values);
  EXPECT_EQ(read_mnist(directory_).test.targets, before.test.targets);
}

TEST_F(MnistFiles, CompressedNamesMayHaveADot) {
  fs::copy(kSample / "t10k-images-idx3-ubyte.gz", directory_ / "t10k-images.idx3-ubyte.gz");
  fs::remove(directory_ / "t10k-images-idx3-ubyte");
  EXPECT_THAT([&] { read_mnist(directory_); },
              ThrowsMessage<Error>(HasSubstr("t10k-images.idx3-ubyte.gz has 1000 images")));
}

TEST_F(MnistFiles, OtherNamesAreTold) {
  fs::rename(train_labels(), directory_ / "emnist-train-labels-idx1-ubyte");
  EXPECT_THAT([&] { read_mnist(directory_); },
              ThrowsMessage<Error>(AllOf(HasSubstr("neither train-labels-idx1-ubyte"),
                                         HasSubstr("there is emnist-train-labels-idx1-ubyte"))));
  EXPECT_FALSE(holds_mnist(directory_ / "none"));
}

TEST_F(MnistFiles, OneClassIsRefused) {
  spill(train_labels(), idx(0x801, {3}, "\x02\x02\x02"));
  EXPECT_THAT([&] { read_mnist(directory_); },
              ThrowsMessage<Error>(AllOf(HasSubstr(directory_.string()),
                                         HasSubstr("all images have the label 2"),
                                         HasSubstr("at least two classes"))));
}

TEST_F(MnistFiles, PlainFilesGoBeforeCompressedOnes) {
  spill(directory_ / "train-labels-idx1-ubyte.gz", "not gzip");
  EXPECT_NO_THROW(read_mnist(directory_));
}

TEST_F(MnistFiles, DamagedFilesAreNamed) {
  expect_error(train_images(), "", "0 bytes");
  expect_error(train_images(), "\x08", "1 bytes");
  expect_error(train_images(), idx(0x803, {3, 2}, ""), "truncated header");
  expect_error(train_images(), idx(0x1f8b0800, {3, 2, 2}, ""), "is gzip data");
  expect_error(train_images(), idx(0x803, {3, 2, 3}, std::string(17, 'x')), "17 bytes of data");
  expect_error(train_images(), idx(0x803, {3, 2, 3}, std::string(19, 'x')), "19 bytes of data");
  expect_error(train_images(), idx(0x1234, {3, 2, 3}, std::string(18, 'x')), "magic 0x00001234");
  expect_error(train_images(), idx(0xd03, {3, 2, 3}, std::string(72, 'x')), "magic 0x00000d03");
  expect_error(train_images(), idx(0x800, {}, ""), "magic 0x00000800");
  expect_error(train_images(), idx(0x801, {3}, "xxx"), "1 dimensions, expected 3");
  expect_error(train_labels(), idx(0x803, {3, 1, 1}, "xxx"), "3 dimensions, expected 1");
  expect_error(train_labels(), idx(0x801, {4}, std::string(4, '\x01')), "4 labels");
  expect_error(train_images(), idx(0x803, {0, 2, 3}, ""), "no pixels");
  expect_error(train_images(), idx(0x803, {3, 0, 3}, ""), "no pixels");
}

TEST_F(MnistFiles, SizesThatOverflow) {
  const std::uint32_t most = 0xffffffff;
  expect_error(train_images(), idx(0x803, {most, most, most}, "x"), "1 bytes of data");
  // 2^22 * 2^21 * 2^21 = 2^64, which would wrap to 0 bytes of data.
  expect_error(train_images(), idx(0x803, {1u << 22, 1u << 21, 1u << 21}, ""), "0 bytes of data");
  expect_error(train_images(), idx(0x8ff, std::vector<std::uint32_t>(255, most), ""), "...");
}

TEST_F(MnistFiles, PartsOfDifferentImageSize) {
  spill(train_images(), idx(0x803, {3, 3, 2}, std::string(18, 'x')));
  EXPECT_THAT([&] { read_mnist(directory_); },
              ThrowsMessage<Error>(AllOf(HasSubstr("3 x 2"), HasSubstr("2 x 3"))));
}

TEST_F(MnistFiles, EveryTruncationIsAnError) {
  const std::string whole = slurp(train_images());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    spill(train_images(), whole.substr(0, size));
    EXPECT_THROW(read_idx(train_images()), Error) << size;
  }
}

TEST_F(MnistFiles, DamagedGzip) {
  const std::string whole = slurp(kSample / "t10k-images-idx3-ubyte.gz");
  ASSERT_GT(whole.size(), 1000u);
  const fs::path path = directory_ / "damaged.gz";
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 0x10;
  for (const std::string& bytes :
       {std::string(), whole.substr(0, 5), whole.substr(0, whole.size() / 2),
        whole.substr(0, whole.size() - 1), flipped}) {
    spill(path, bytes);
    EXPECT_THAT([&] { read_idx(path); }, ThrowsMessage<Error>(HasSubstr(path.string())));
  }
}

}  // namespace
}  // namespace crosstate::data
