#include "crosstate/device/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/device/cells.h"

namespace crosstate::device {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr const char* kHeader = "time,target,mean,sigma\n";
constexpr const char* kMeasured =
    "# a chip\r\n"
    "time,target,mean,sigma\r\n"
    "1, 1, 1.5, 0.5\n"
    "1,21,20,1\n"
    "\n"
    "10000,21,17,0.5\n"  // rows in any order
    "10000,1,1,0.25\n"
    "10000,11,8,2\n";

DeviceTable measured() { return DeviceTable::parse(kMeasured, "m.csv"); }

TEST(DeviceTable, InterpolatesInTheTarget) {
  const DeviceTable table = measured();
  EXPECT_THAT(table.times(), ElementsAre(1, 10000));
  EXPECT_EQ(table.range().low, 1);
  EXPECT_EQ(table.range().high, 21);
  EXPECT_DOUBLE_EQ(table.at(0, 1).mean, 1.5);
  EXPECT_DOUBLE_EQ(table.at(0, 6).mean, 1.5 + 0.25 * 18.5);
  EXPECT_DOUBLE_EQ(table.at(0, 6).deviation, 0.625);
  EXPECT_DOUBLE_EQ(table.at(0, 21).mean, 20);
  EXPECT_DOUBLE_EQ(table.at(1, 11).deviation, 2);
  EXPECT_DOUBLE_EQ(table.at(1, 16).mean, 12.5);
}

class TableModel : public testing::Test {
 protected:
  TableModel() { write_file(path_, kMeasured); }
  ~TableModel() override { std::filesystem::remove(path_); }

  // Named after this process, since tests run in parallel.
  std::string path_ = testing::TempDir() + "device-table-" + std::to_string(getpid()) + ".csv";
};

TEST_F(TableModel, IsADevice) {
  for (const char* model : {"table", "taox"}) {
    DeviceOptions options;
    options.model = model;
    options.table = path_;
    constexpr std::size_t kCount = 20000;
    Cells cells(options, std::vector<double>(kCount, 11), 3, 0);
    const auto expect = [&](double t, double mean, double deviation) {
      cells.age_to(t);
      double sum = 0, squares = 0;
      for (const double g : cells.conductance()) sum += g;
      for (const double g : cells.conductance()) squares += std::pow(g - sum / kCount, 2);
      EXPECT_NEAR(sum / kCount, mean, 4 * deviation / std::sqrt(kCount)) << t;
      EXPECT_NEAR(std::sqrt(squares / kCount), deviation, 4 * deviation / std::sqrt(2.0 * kCount))
          << t;
    };
    expect(0, 10.75, 0.75);
    expect(1, 10.75, 0.75);
    expect(100, 9.375, 1.375);
    expect(10000, 8, 2);
    EXPECT_THAT([&] { cells.age_to(10001); }, ThrowsMessage<Error>(HasSubstr("0 s to 10000 s")));
  }
}

// If the standard deviation decreases, devices keep their order.
TEST_F(TableModel, ShrinksWithTheSpread) {
  DeviceOptions options;
  options.model = "table";
  options.table = path_;
  Cells cells(options, std::vector<double>(200, 21), 3, 0);
  const std::vector<double> before(cells.conductance().begin(), cells.conductance().end());
  cells.age_to(10000);
  for (std::size_t i = 0; i < 200; ++i) {
    EXPECT_NEAR(cells.conductance()[i], 17 + 0.5 * (before[i] - 20), 1e-9);
  }
}

TEST_F(TableModel, TravelsWithItsCells) {
  DeviceOptions options;
  options.model = "table";
  options.table = path_;
  Cells cells(options, std::vector<double>(10, 11), 3, 0);
  const formats::Safetensors file = cells.save();
  std::filesystem::remove(path_);
  Cells loaded = Cells::load(file, "file");
  cells.age_to(500);
  loaded.age_to(500);
  EXPECT_TRUE(std::equal(cells.conductance().begin(), cells.conductance().end(),
                         loaded.conductance().begin()));
}

TEST(DeviceTable, TakesNumbersAsInstrumentsWriteThem) {
  const DeviceTable table = DeviceTable::parse(
      "\xEF\xBB\xBFtime,target,mean,sigma\r\n0,+1,+1.0E+00,1e-400\r\n0, 21. ,.5,1\r\n", "m.csv");
  EXPECT_EQ(table.range().low, 1);
  EXPECT_EQ(table.range().high, 21);
  EXPECT_EQ(table.at(0, 1).deviation, 0);
  EXPECT_EQ(table.at(0, 21).mean, 0.5);
}

// 20.7 in binary32 at one time, and as a decimal at another.
TEST(DeviceTable, ForgivesRoundingToBinary32) {
  const DeviceTable table = DeviceTable::parse(
      std::string(kHeader) + "0,0,0,1\n0,20.7,20,1\n9,0,0,1\n9,20.7000008,20,1\n", "m.csv");
  EXPECT_EQ(table.range().high, 20.7);
  EXPECT_EQ(table.at(1, 20.7000008).mean, 20);
}

TEST(DeviceTable, MayBeginWithTheVersionOfItsFormat) {
  const std::string rows = std::string(kHeader) + "1,1,1,0\n1,9,9,0\n";
  EXPECT_EQ(
      DeviceTable::parse("# crosstate device table 1\n# a chip\n" + rows, "m.csv").range().high, 9);
  EXPECT_EQ(DeviceTable::parse("# crosstate device tables\n" + rows, "m.csv").range().high, 9);
  EXPECT_THAT(
      [&] { DeviceTable::parse("# a chip\n# crosstate device table 2\n" + rows, "m.csv"); },
      ThrowsMessage<Error>(HasSubstr("m.csv:2: format 'crosstate device table 2', expected "
                                     "'crosstate device table 1': it was written by a newer")));
}

TEST(DeviceTable, RefusesWhatItCannotRead) {
  const auto refused = [](const std::string& text, const std::string& part) {
    EXPECT_THAT([&] { DeviceTable::parse(text, "m.csv"); }, ThrowsMessage<Error>(HasSubstr(part)))
        << text;
  };
  const std::string header = kHeader;
  refused("", "m.csv: has no header");
  refused("# only this\n", "m.csv: has no header");
  refused(header, "m.csv: has only a header");
  refused("time,target,mean\n", "m.csv:1: header \"time,target,mean\", expected time,");
  refused(header + "1,2,3\n", "m.csv:2: 3 columns, expected 4");
  refused(header + "1,2,3,4,5\n", "m.csv:2: 5 columns, expected 4");
  refused(header + "1,2,x,4\n", "m.csv:2, column mean: \"x\" is not a number, expected a number");
  refused(header + "1,2,3,4\n1,,3,4\n", "m.csv:3, column target: \"\"");
  refused(header + "1,2,3,-4\n", "m.csv:2, column sigma: \"-4\"");
  refused(header + "nan,2,3,4\n", "m.csv:2, column time: \"nan\"");
  refused(header + "1,2,inf,4\n", "m.csv:2, column mean: \"inf\" is not finite");
  refused(header + "1,2,1e400,4\n", "m.csv:2, column mean: \"1e400\" is too large");
  refused(header + "1,2,9.91E+37,4\n", "m.csv:2, column mean: \"9.91E+37\", expected");
  refused(header + "1,2,0x1p3,4\n", "m.csv:2, column mean: \"0x1p3\" is hexadecimal");
  refused(header + "1,2,3,4\n1,2,5,6\n", "m.csv:3, column target: 2 is repeated");
  refused(header + "1,2,3,4\n", "m.csv, time 1: one target, expected at least two");
  refused(header + "1,2,3,4\n1,4,4,4\n9,2,3,4\n9,5,5,5\n",
          "m.csv, time 9: targets from 2 to 5, expected 2 to 4");
  EXPECT_THAT([] { DeviceTable::read("/nowhere/m.csv"); },
              ThrowsMessage<Error>(HasSubstr("/nowhere/m.csv")));
}

}  // namespace
}  // namespace crosstate::device
