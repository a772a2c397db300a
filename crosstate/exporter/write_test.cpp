#include "crosstate/exporter/write.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/exporter/testing.h"
#include "crosstate/integer/testing.h"

namespace crosstate::exporter {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(WriteExport, ReplacesFilesOnlyWhenAsked) {
  const fixtures::Workshop workshop;
  const fs::path directory = workshop.path() / "new" / "c";
  const inference::Model model(integer::fixtures::RandomNetwork(4).make());
  ExportOptions options;
  options.name = "net";
  options.sequences = 2;
  options.steps = 3;
  std::string note = "an earlier one";
  const auto write = [&](bool overwrite) {
    return write_export(model, options, directory, overwrite, note);
  };
  const nlohmann::json found = write(false);
  EXPECT_EQ(note, "");
  EXPECT_EQ(found["name"], "net");
  EXPECT_EQ(found["format"], "c");
  EXPECT_GT(found["constants"].get<int>(), 0);
  for (const auto& file : found["files"]) {
    EXPECT_TRUE(fs::exists(directory / file.get<std::string>())) << file;
  }
  EXPECT_EQ(write(false), found) << "the same files";
  write_file(directory / "net.c", "mine");
  EXPECT_THAT([&] { write(false); },
              ThrowsMessage<Error>(AllOf(HasSubstr("net.c: exists"), HasSubstr("--overwrite"))));
  EXPECT_EQ(read_file(directory / "net.c"), "mine");
  write(true);
  EXPECT_THAT(read_file(directory / "net.c"), HasSubstr("net_step("));
}

TEST(WriteExport, WritesNothingForWhatCannotBeExported) {
  const fixtures::Workshop workshop;
  const fs::path directory = workshop.path() / "no";
  inference::Preparation permuted;
  for (int k = 0; k < 4; ++k) permuted.readout.names.push_back(std::to_string(k));
  permuted.permutation_seed = 3;
  permuted.permuted_steps = 5;
  const inference::Model model(integer::fixtures::RandomNetwork(4).make(), permuted, "net");
  std::string note;
  ExportOptions options;
  for (const ExportFormat format : {ExportFormat::kC, ExportFormat::kNpz}) {
    options.format = format;
    EXPECT_THAT([&] { write_export(model, options, directory, true, note); },
                ThrowsMessage<Error>(HasSubstr("permuted order")));
    EXPECT_FALSE(fs::exists(directory));
  }
}

}  // namespace
}  // namespace crosstate::exporter
