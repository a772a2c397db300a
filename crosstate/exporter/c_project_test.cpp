#include "crosstate/exporter/c_project.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/data/testing.h"
#include "crosstate/exporter/testing.h"
#include "crosstate/integer/testing.h"

namespace crosstate::exporter {
namespace {

using fixtures::Workshop;
using testing::HasSubstr;

inference::Model random_model(std::optional<inference::Preparation> preparation = std::nullopt) {
  return inference::Model(integer::fixtures::RandomNetwork(2).make(), std::move(preparation),
                          "some/where/My Net.integer.safetensors");
}

TEST(CProject, BuildsWithMake) {
  const Workshop workshop;
  ExportOptions options;
  options.sequences = 5;
  options.steps = 10;
  const CProject project = c_project(random_model(), options);
  EXPECT_EQ(project.prefix, "my_net");
  for (const SourceFile& file : project.files) workshop.write(file);
  EXPECT_THAT(workshop.run("make check"), HasSubstr("my_net: 5 sequences of 10 steps agree"));
  EXPECT_THAT(workshop.run("make size"), HasSubstr("my_net_step"));
}

// Golden vectors end where the C code pools no further steps.
TEST(CProject, ChecksOnlyStepsThatArePooled) {
  integer::IntegerNetwork network = integer::fixtures::RandomNetwork(2).make();
  network.pool_last = false;
  network.residual.quant_min = -32767;
  network.residual.quant_max = 32767;
  ExportOptions options;
  options.sequences = 1;
  options.steps = 70000;
  const CProject project = c_project(inference::Model(network, std::nullopt, "net"), options);
  ASSERT_EQ(project.network.longest, 0x7fffffffu / 32767);
  bool found = false;
  for (const SourceFile& file : project.files) {
    found = found || file.text.find("#define STEPS 65538u\n") != std::string::npos;
  }
  EXPECT_TRUE(found);
}

// The check fails where the C differs from the library.
TEST(CProject, NoticesAWrongNetwork) {
  const Workshop workshop;
  CProject project = c_project(random_model(), {});
  for (SourceFile& file : project.files) {
    if (file.path == "my_net.c") {
      file.text = replaced(file.text, "        u[h] = ", "        u[h] = (h == 0u) ? 0 : ");
    }
    workshop.write(file);
  }
  EXPECT_THAT(workshop.run("! make check CFLAGS=-w"), HasSubstr("differs"));
}

inference::Model model_of_recordings(data::FrontEndArithmetic arithmetic) {
  integer::IntegerNetwork network = integer::fixtures::RandomNetwork(2).make();
  // Normalised features are within some three deviations.
  network.input.scale = 3.0 / network.input.quant_max;
  inference::Preparation preparation;
  preparation.readout.names.assign(network.outputs, "x");
  data::FrontEndOptions options;
  options.arithmetic = arithmetic;
  options.decimation = 2;
  options.bands = static_cast<int>(network.inputs);
  preparation.front_end.emplace(options, 8000);
  ThreadPool pool(1);
  preparation.front_end->fit(data::reference::tone_set(6, 1), pool);
  return inference::Model(std::move(network), std::move(preparation),
                          "some/where/My Net.integer.safetensors");
}

TEST(CProject, BringsTheFrontEndInWholeNumbers) {
  const Workshop workshop;
  const inference::Model model = model_of_recordings(data::FrontEndArithmetic::kInteger);
  CProject project = c_project(model, {});
  EXPECT_EQ(project.note, "");
  for (const SourceFile& file : project.files) workshop.write(file);
  EXPECT_THAT(workshop.run("make check"),
              testing::AllOf(HasSubstr("my_net: the front end agrees on"),
                             HasSubstr("my_net: 100 sequences")));
  EXPECT_THAT(workshop.run("make size"), HasSubstr("my_net_front_end_push"));
  EXPECT_THAT(workshop.run("cat examples/my_net/my_net.ino"), HasSubstr("my_net_front_end_push("));
  // The check fails where the C differs from the library.
  for (SourceFile& file : project.files) {
    if (file.path == "my_net_front_end.c")
      file.text = replaced(file.text, "exponent * 1024", "exponent * 900");
    workshop.write(file);
  }
  EXPECT_THAT(workshop.run("! make -B check"), HasSubstr("my_net: the front end differs"));
  ExportOptions options;
  options.unit = 0.5;
  try {
    c_project(model, options);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("export.unit: has no effect"));
  }
}

TEST(CProject, SaysThatAFloatFrontEndIsNotExported) {
  const CProject project = c_project(model_of_recordings(data::FrontEndArithmetic::kFloat), {});
  EXPECT_THAT(project.note, HasSubstr("front_end.arithmetic = \"integer\""));
  for (const SourceFile& file : project.files) {
    EXPECT_EQ(file.path.find("front_end"), std::string::npos) << file.path;
  }
}

TEST(CProject, RefusesWhatCannotRunStepByStep) {
  inference::Preparation permuted;
  permuted.permutation_seed = 1;
  permuted.permuted_steps = 4;
  permuted.readout.names.assign(random_model().shape().outputs, "x");
  try {
    c_project(random_model(permuted), {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("permuted order"));
  }
  ExportOptions options;
  options.name = "My Net";
  EXPECT_THROW(c_project(random_model(), options), Error);
}

}  // namespace
}  // namespace crosstate::exporter
