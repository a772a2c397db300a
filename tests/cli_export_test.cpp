// crosstate export: files, errors, and that nothing of the user is lost.
#include <string>

#include "tests/cli.h"

namespace crosstate {
namespace {

using testing::HasSubstr;

class CliExport : public Cli {
 protected:
  const std::string model_ =
      std::string(CROSSTATE_SOURCE_DIR) + "/models/smnist.integer.safetensors";
};

TEST_F(CliExport, WritesCThatAgrees) {
  const Result result = call({"export", model_, "--format", "c", "--out", path("c"), "--unit",
                              "0.00392156862745098", "--sequences", "4", "--steps", "30"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("of constants"));
  const std::string header = read_file(path("c/smnist.h"));
  EXPECT_THAT(header, HasSubstr("int smnist_class(const smnist_state *state);"));
  EXPECT_THAT(header, HasSubstr("#define SMNIST_OUTPUTS 10"));
  const std::string make = "make -C '" + path("c") + "' check > '" + path("make.txt") + "' 2>&1";
  EXPECT_EQ(std::system(make.c_str()), 0) << read_file(path("make.txt"));
  EXPECT_THAT(read_file(path("make.txt")), HasSubstr("smnist: 4 sequences of 30 steps agree"));
}

TEST_F(CliExport, KeepsFilesOfTheUser) {
  write("c/Makefile", "all:\n");
  expect_refused({"export", model_, "--out", path("c")}, {"Makefile: exists; --overwrite"});
  EXPECT_FALSE(fs::exists(path("c/smnist.c")));
  EXPECT_EQ(call({"export", model_, "--out", path("c"), "--overwrite", "--sequences", "1"}).code,
            0);
  EXPECT_THAT(read_file(path("c/Makefile")), HasSubstr("smnist_check"));
  // The same files again are no conflict.
  EXPECT_EQ(call({"export", model_, "--out", path("c"), "--sequences", "1"}).code, 0);
}

TEST_F(CliExport, WritesArrays) {
  const Result result = call({"export", model_, "--format", "npz", "--name", "digits", "--out",
                              path("n"), "--sequences", "2", "--steps", "3"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(fs::exists(path("n/digits.npz")));
}

TEST_F(CliExport, RefusesWhatItCannotExport) {
  expect_refused({"export", model_}, {"--out", "directory"});
  expect_refused({"export", model_, "--out", path("c"), "--format", "rust"},
                 {"export.format", "c, npz"});
  expect_refused({"export", model_, "--out", path("c"), "--name", "8 bits"},
                 {"export.name", "model_8_bits"});
  expect_refused({"export", model_, "--out", path("c"), "--format", "npz", "--unit", "2"},
                 {"--unit", "npz has no sensor"});
  const std::string floats = std::string(CROSSTATE_SOURCE_DIR) + "/models/smnist.float.safetensors";
  expect_refused({"export", floats, "--out", path("c")}, {"smnist.float.safetensors"});
  EXPECT_FALSE(fs::exists(path("c")));
}

}  // namespace
}  // namespace crosstate
