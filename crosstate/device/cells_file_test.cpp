// Saved cells: every setting and every bit comes back, and damage is named. See also the tests of
// saving in cells_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/testing.h"
#include "crosstate/device/cells.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using nlohmann::json;
using reference::device_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::string saved_bytes(const Cells& cells) { return formats::format_safetensors(cells.save()); }

Cells reloaded(const Cells& cells) {
  return Cells::load(formats::parse_safetensors(saved_bytes(cells), "file"), "file");
}

bool same_bits(std::span<const double> a, std::span<const double> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void expect_same_cells(const Cells& found, const Cells& expected) {
  EXPECT_EQ(saved_bytes(found), saved_bytes(expected));
  EXPECT_EQ(found.time(), expected.time());
  EXPECT_TRUE(same_bits(found.targets(), expected.targets()));
  EXPECT_TRUE(same_bits(found.conductance(), expected.conductance()));
  EXPECT_TRUE(same_bits(found.read_deviation(), expected.read_deviation()));
  EXPECT_TRUE(same_bits(found.inference_deviation(), expected.inference_deviation()));
  EXPECT_TRUE(std::equal(found.faults().begin(), found.faults().end(), expected.faults().begin(),
                         expected.faults().end()));
  EXPECT_EQ(found.other_setting(expected), "");
  const ProgrammingSummary &a = found.programming(), &b = expected.programming();
  EXPECT_EQ(a.cells, b.cells);
  EXPECT_EQ(a.within, b.within);
  EXPECT_EQ(a.pulses, b.pulses);
  EXPECT_EQ(a.reads, b.reads);
  EXPECT_EQ(a.most_pulses, b.most_pulses);
  EXPECT_EQ(a.stuck_low, b.stuck_low);
  EXPECT_EQ(a.stuck_high, b.stuck_high);
  EXPECT_EQ(a.open, b.open);
  EXPECT_EQ(a.energy, b.energy);
}

// Settings that affect how cells are programmed, how they age, and how they are read.
const std::vector<std::pair<std::string, std::function<void(DeviceOptions&)>>> kSettings = {
    {"none", [](DeviceOptions&) {}},
    {"faults", [](DeviceOptions& o) { o.stuck_low = o.stuck_high = o.open = 0.2; }},
    {"write-verify",
     [](DeviceOptions& o) {
       o.write_verify = true;
       o.tolerance = 0.03;
       o.max_pulses = 5;
       o.pulse_energy = 0.1;
       o.verify_energy = 1.0 / 3;
     }},
    {"heat",
     [](DeviceOptions& o) {
       o.temperature = 310.7;
       o.activation_energy = 0.3;
     }},
    {"retention", [](DeviceOptions& o) { o.retention = 500; }},
    {"inferences", [](DeviceOptions& o) { o.inference_time = 1e-3; }},
    {"programmed", [](DeviceOptions& o) { o.fresh = FreshState::kProgrammed; }},
    {"neither drift nor flicker",
     [](DeviceOptions& o) {
       o.drift = false;
       o.flicker = false;
     }},
    {"range",
     [](DeviceOptions& o) {
       o.g_min = 1;
       o.g_max = 17;
     }},
};

TEST(CellsFile, KeepsEverySettingAndEveryBit) {
  for (const auto& [name, set] : kSettings) {
    SCOPED_TRACE(name);
    DeviceOptions options = device_of("pcm");
    set(options);
    const ConductanceRange range = conductance_range(options);
    std::vector<double> targets;
    for (int i = 0; i < 40; ++i) {
      targets.push_back(range.low + (range.high - range.low) * i / 39.0);
    }
    Cells cells(options, targets, 0x123456789abcdef0, 4000000000u);
    expect_same_cells(reloaded(cells), cells);
    for (const double age : {0.1, 1000.0 / 3}) {
      Cells later = reloaded(cells);
      cells.age_to(age);
      later.age_to(age);
      expect_same_cells(later, cells);
      expect_same_cells(reloaded(cells), cells);
    }
  }
}

// A library that rounds differently must not change a saved chip until it ages.
TEST(CellsFile, KeepsConductancesThatWereComputedElsewhere) {
  for (const double inference_time : {0.0, 1e-3}) {
    DeviceOptions options = device_of("pcm");
    options.inference_time = inference_time;
    Cells cells(options, std::vector<double>(20, 10), 1, 0);
    cells.age_to(100);
    formats::Safetensors file = cells.save();
    for (const char* name : {"programmed", "conductance"}) {
      std::vector<double> values = file.tensors.at(name).doubles({20}, name);
      for (double& v : values) v = std::nextafter(v, 1e9);
      file.tensors[name] = formats::Tensor::from(values, {20});
    }
    const Cells loaded = Cells::load(file, "file");
    EXPECT_EQ(saved_bytes(loaded), formats::format_safetensors(file));
    for (std::size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(loaded.conductance()[i], std::nextafter(cells.conductance()[i], 1e9));
    }
  }
}

TEST(CellsFile, KeepsFaultsOfAMap) {
  const std::vector<std::uint8_t> map = {0, 1, 2, 3, 0};
  const Cells cells(device_of("simple"), std::vector<double>(5, 10), 3, 0, map);
  const Cells loaded = reloaded(cells);
  expect_same_cells(loaded, cells);
  EXPECT_EQ(loaded.programming().open, 1u);
  EXPECT_EQ(loaded.conductance()[3], 0);
}

TEST(CellsFile, MayHoldNoCells) {
  const Cells none(device_of("gaussian"), {}, 1, 2);
  EXPECT_EQ(reloaded(none).programming().yield(), 1);
  expect_same_cells(reloaded(none), none);
}

class DamagedCells : public testing::Test {
 protected:
  // Loads the saved cells after a change, and expects an error with these parts.
  void expect_refused(const std::function<void(formats::Safetensors&)>& change,
                      const std::string& key, const std::string& part) const {
    formats::Safetensors file = good_;
    change(file);
    EXPECT_THAT(
        [&] { Cells::load(file, "x.safetensors"); },
        ThrowsMessage<Error>(AllOf(HasSubstr("x.safetensors"), HasSubstr(key), HasSubstr(part))));
  }
  void expect_metadata_refused(const std::string& key, const std::string& value,
                               const std::string& part) const {
    expect_refused([&](formats::Safetensors& file) { file.metadata[key] = value; }, key, part);
  }
  // One value of the programming results, as JSON text.
  void expect_result_refused(const std::string& key, const char* value,
                             const std::string& part) const {
    expect_refused(
        [&](formats::Safetensors& file) {
          json results = parse_json(file.metadata.at("programming"));
          if (value == nullptr) {
            results.erase(key);
          } else {
            results[key] = parse_json(value);
          }
          file.metadata["programming"] = exact_json_text(results);
        },
        "programming." + key, part);
  }

  const formats::Safetensors good_ =
      Cells(device_of("pcm"), std::vector<double>(4, 10), 1, 0).save();
};

TEST_F(DamagedCells, HaveNumbersThatAreNone) {
  for (const char* key : {"seed", "array", "time"}) {
    for (const char* text : {"", "x", "1x", " 1", "1 ", "0x1", "+1"}) {
      expect_metadata_refused(key, text, std::string("\"") + text + "\", expected a number");
    }
  }
  expect_metadata_refused("seed", "18446744073709551616", "expected a number");
  expect_metadata_refused("seed", "1.5", "expected a number");
  expect_metadata_refused("array", "4294967296", "expected a number");
  expect_metadata_refused("array", "-1", "expected a number");
  expect_metadata_refused("time", "-0.5", "-0.5 s, expected 0 to");
}

// An age to which cells of the model cannot be aged.
TEST_F(DamagedCells, HaveAgesThatTheirModelDoesNotDefine) {
  DeviceOptions warm = device_of("sonos");
  warm.temperature = 310;
  warm.activation_energy = 1;
  for (const DeviceOptions& options : {device_of("sonos"), device_of("neurram"), warm}) {
    const Cells cells(options, std::vector<double>(2, 10), 1, 0);
    formats::Safetensors file = cells.save();
    for (const double age : {1.0, 6e4, 4e5, 1e8}) {
      SCOPED_TRACE(age);
      file.metadata["time"] = std::to_string(age);
      Cells aged = reloaded(cells);
      try {
        aged.age_to(age);
        EXPECT_NO_THROW(Cells::load(file, "x.safetensors"));
      } catch (const Error& error) {
        EXPECT_THAT([&] { Cells::load(file, "x.safetensors"); },
                    ThrowsMessage<Error>(
                        AllOf(HasSubstr("x.safetensors: time: "), HasSubstr(error.what()))));
      }
    }
    EXPECT_THROW(Cells::load(file, "x.safetensors"), Error);
  }
}

TEST_F(DamagedCells, HaveOtherObjects) {
  for (const char* key : {"device", "programming"}) {
    for (const char* text : {"", "{", "[]", "1", "null", "\"x\"", "{} {}"}) {
      expect_metadata_refused(key, text, "expected a JSON object");
    }
  }
  expect_metadata_refused("device", R"({"device": []})", "x.safetensors");
  expect_metadata_refused("device", R"({"devices": {"model": "pcm"}})", "x.safetensors");
  expect_metadata_refused("device", R"({"device": {"model": 3}})", "device.model");
  expect_metadata_refused("device", R"({"device": {"model": "pcm", "stuck_low": 2}})", "stuck_low");
  expect_refused([](formats::Safetensors& file) { file.metadata["kind"] = "crosstate network 2"; },
                 "'crosstate network 2'", "expected 'crosstate cells 1'");
}

TEST_F(DamagedCells, HaveOtherProgrammingResults) {
  for (const char* key : {"within", "pulses", "reads", "most_pulses"}) {
    for (const char* value : {"-1", "1.0", "\"1\"", "null", "true", "[1]"}) {
      expect_result_refused(key, value, "expected an integer");
    }
    expect_result_refused(key, nullptr, "expected an integer");
  }
  for (const char* value : {"\"1\"", "null", "true", "{}"}) {
    expect_result_refused("energy_pj", value, "expected a number");
  }
  expect_result_refused("energy_pj", nullptr, "expected a number");
  expect_result_refused("within", "5", "5, expected at most 4");
}

TEST_F(DamagedCells, ContradictThemselves) {
  // These were programmed without write-verify, without pulses.
  expect_result_refused("energy_pj", "-5", "-5, expected 0");
  expect_result_refused("energy_pj", "1", "1, expected 0");
  for (const char* key : {"pulses", "reads", "most_pulses"}) {
    expect_result_refused(key, "1", "1, expected 0 with");
  }
  DeviceOptions options = device_of("pcm");
  options.write_verify = true;
  options.tolerance = 0.01;
  options.max_pulses = 7;
  options.pulse_energy = 0.5;
  options.verify_energy = 0.25;
  const Cells cells(options, std::vector<double>(4, 10), 1, 0);
  const ProgrammingSummary& whole = cells.programming();
  ASSERT_GT(whole.pulses, 0u);
  const auto refuse = [&](const char* key, const json& value, const std::string& part) {
    formats::Safetensors file = cells.save();
    json results = parse_json(file.metadata.at("programming"));
    results[key] = value;
    file.metadata["programming"] = exact_json_text(results);
    EXPECT_THAT([&] { Cells::load(file, "x.safetensors"); },
                ThrowsMessage<Error>(AllOf(HasSubstr("x.safetensors: programming."), HasSubstr(key),
                                           HasSubstr(part))));
  };
  refuse("most_pulses", 99, "99, expected 0 to 7 with device.max_pulses = 7");
  refuse("pulses", 0, "0, expected ");
  refuse("pulses", whole.most_pulses - 1, "expected " + std::to_string(whole.most_pulses) + " to ");
  refuse("pulses", 4 * whole.most_pulses + 1, "with 4 cells and most_pulses = ");
  refuse("reads", whole.reads + 1, "expected " + std::to_string(whole.reads) + " with pulses = ");
  refuse("energy_pj", whole.energy / 2, "expected " + exact_text(whole.energy));
  refuse("energy_pj", -whole.energy, "expected " + exact_text(whole.energy));
  EXPECT_NO_THROW(reloaded(cells));
}

TEST_F(DamagedCells, HaveTablesThatTheirModelHasNot) {
  expect_metadata_refused("table", "rubbish", "\"rubbish\", but device.model = pcm has none");
  expect_refused(
      [](formats::Safetensors& file) {
        file = Cells(device_of("taox"), std::vector<double>(4, 10), 1, 0).save();
        file.metadata["table"] = "";
      },
      "table is empty", "device.model = taox");
}

TEST_F(DamagedCells, AreNamedWithWhatWasFound) {
  const auto set = [](const char* name, const formats::Tensor& tensor) {
    return [name, tensor](formats::Safetensors& file) { file.tensors[name] = tensor; };
  };
  const double infinity = std::numeric_limits<double>::infinity();
  expect_refused(
      set("programmed", formats::Tensor::from(std::vector<double>{1, 1, infinity, 1}, {4})),
      "programmed of cell 2: inf uS", "expected finite values");
  expect_refused(set("fault", {"U8", {4}, std::string("\0\4\3\0", 4)}), "fault of cell 1: 4",
                 "expected 0 to 3");
  expect_refused(set("fault", {"U8", {2, 2}, std::string(4, '\0')}), "fault: U8 [2, 2]",
                 "expected one U8 for each target, [4]");
  expect_result_refused("pulses", "-1", "programming.pulses: -1, expected an integer of 0 or more");
  expect_result_refused("reads", "[1]", "programming.reads: [1], expected an integer");
  expect_result_refused("reads", nullptr, "programming.reads: is missing, expected an integer");
  expect_result_refused("energy_pj", "true", "programming.energy_pj: true, expected a number");
  expect_metadata_refused("programming", "[1, 2]",
                          "programming: \"[1, 2]\", expected a JSON object");
}

TEST_F(DamagedCells, HaveTensorsOfOtherShapes) {
  const auto set = [](const char* name, const formats::Tensor& tensor) {
    return [name, tensor](formats::Safetensors& file) { file.tensors[name] = tensor; };
  };
  for (const char* name : {"target", "programmed", "conductance"}) {
    for (const formats::Tensor& tensor : {formats::Tensor::from(std::vector<double>(3, 10), {3}),
                                          formats::Tensor::from(std::vector<double>(4, 10), {2, 2}),
                                          formats::Tensor::from(std::vector<float>(4, 10), {4})}) {
      // Another number of targets makes the other tensors wrong instead.
      expect_refused(set(name, tensor), "", "expected");
    }
    for (const double value : {std::nan(""), std::numeric_limits<double>::infinity()}) {
      expect_refused(set(name, formats::Tensor::from(std::vector<double>{1, 1, 1, value}, {4})),
                     name, "expected finite values");
    }
  }
  expect_refused(set("fault", {"U8", {3}, std::string(3, '\0')}), "fault",
                 "expected one U8 for each target");
  expect_refused(set("fault", {"U8", {2, 2}, std::string(4, '\0')}), "fault",
                 "expected one U8 for each target");
  expect_refused(set("fault", {"I8", {4}, std::string(4, '\0')}), "fault",
                 "expected one U8 for each target");
  expect_refused(set("fault", {"U8", {4}, std::string(4, '\4')}), "fault", "expected 0 to 3");
  EXPECT_NO_THROW(Cells::load(good_, "x.safetensors"));
}

class CellsOfTables : public DirectoryTest {
 protected:
  Cells made(const std::string& name, const std::string& mean) const {
    DeviceOptions options = device_of("table");
    options.table = file(name, "time,target,mean,sigma\n0,1,1,0.1\n0,21," + mean + ",0.1\n");
    return Cells(options, std::vector<double>(3, 11), 1, 0);
  }
};

// Files may be moved: what counts is what was measured.
TEST_F(CellsOfTables, DifferByTheirMeasurements) {
  const Cells one = made("one.csv", "21"), same = made("two.csv", "21"),
              other = made("three.csv", "20");
  EXPECT_EQ(one.other_setting(same), "");
  EXPECT_EQ(one.other_setting(other), "table (other measurements)");
  EXPECT_EQ(reloaded(one).other_setting(one), "");
  EXPECT_EQ(other.other_setting(reloaded(one)), "table (other measurements)");
  formats::Safetensors exchanged = one.save();
  exchanged.metadata["table"] = "time,target\n";
  EXPECT_THAT([&] { Cells::load(exchanged, "x.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("time,target,mean,sigma")));
}

// The file of the measurements may have changed since.
TEST_F(CellsOfTables, BringTheirMeasurements) {
  const Cells cells = made("one.csv", "21");
  formats::Safetensors without = cells.save();
  without.metadata["table"] = "";
  EXPECT_THAT([&] { Cells::load(without, "x.safetensors"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("x.safetensors: table is empty"),
                                         HasSubstr("device.model = table"))));
  made("one.csv", "20");  // other measurements in the same place
  expect_same_cells(reloaded(cells), cells);
}

TEST(CellsFile, NamesTheSettingInWhichCellsDiffer) {
  const std::vector<double> targets(3, 10);
  const Cells plain(device_of("pcm"), targets, 1, 0);
  for (const auto& [name, set] : kSettings) {
    DeviceOptions options = device_of("pcm");
    set(options);
    const Cells cells(options, targets, 1, 0);
    EXPECT_EQ(cells.other_setting(plain) == "", name == "none") << name;
    // The first of several, whichever is asked.
    const std::string here = cells.other_setting(plain), there = plain.other_setting(cells);
    EXPECT_EQ(here.substr(0, here.find(' ')), there.substr(0, there.find(' '))) << name;
  }
}

}  // namespace
}  // namespace crosstate::device
