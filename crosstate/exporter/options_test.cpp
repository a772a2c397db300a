#include "crosstate/exporter/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "crosstate/base/error.h"

namespace crosstate::exporter {
namespace {

using testing::HasSubstr;

std::string error_of(const auto& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ExportOptions, AreSettings) {
  ExportOptions options;
  FieldList list;
  fields(list, options);
  list.set("export.format=npz");
  list.set("export.name=kws");
  list.set("export.unit=0.5");
  list.set("export.sequences=7");
  list.set("export.steps=9");
  EXPECT_EQ(options.format, ExportFormat::kNpz);
  EXPECT_EQ(options.name, "kws");
  EXPECT_EQ(options.unit, 0.5);
  EXPECT_EQ(options.sequences, 7);
  EXPECT_EQ(options.steps, 9);
  EXPECT_NO_THROW(validate(options));
}

TEST(ExportOptions, RefuseOtherValues) {
  ExportOptions options;
  FieldList list;
  fields(list, options);
  EXPECT_THAT(error_of([&] { list.set("export.format=rust"); }), HasSubstr("c, npz"));
  EXPECT_THAT(error_of([&] { list.set("export.unit=-1"); }), HasSubstr("export.unit"));
  EXPECT_THAT(error_of([&] { list.set("export.sequences=0"); }), HasSubstr("export.sequences"));
  EXPECT_THAT(error_of([&] { list.set("export.steps=0"); }), HasSubstr("export.steps"));
  options.name = "8bit";
  EXPECT_THAT(error_of([&] { validate(options); }), HasSubstr("\"model_8bit\""));
}

}  // namespace
}  // namespace crosstate::exporter
