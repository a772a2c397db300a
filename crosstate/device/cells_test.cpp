#include "crosstate/device/cells.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/device/cell.h"
#include "crosstate/device/models.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using reference::device_of;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> shipped() {
  std::vector<std::string> names = device_model_names();
  std::erase(names, "table");
  return names;
}

// From the lowest to the highest conductance.
std::vector<double> ladder(const DeviceOptions& options, std::size_t count) {
  const ConductanceRange range = conductance_range(options);
  std::vector<double> targets(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(count - 1);
    targets[i] = range.low + share * (range.high - range.low);
  }
  return targets;
}

std::vector<double> copy(std::span<const double> values) { return {values.begin(), values.end()}; }

double latest(const std::string& model) { return make_device_model(device_of(model))->last_time(); }

TEST(Cells, AreTheSameChipHoweverOftenTheyAreLookedAt) {
  for (const std::string& model : shipped()) {
    const DeviceOptions options = device_of(model);
    const std::vector<double> targets = ladder(options, 37);
    Cells often(options, targets, 3, 5), once(options, targets, 3, 5);
    const double end = std::min(3.15e7, latest(model));
    for (const double t : {1.0, 1.5, 60.0, 3600.0, 86400.0, 1e6}) {
      if (t < end) often.age_to(t);
    }
    often.age_to(end);
    once.age_to(end);
    EXPECT_THAT(copy(often.conductance()), ElementsAreArray(once.conductance())) << model;
    EXPECT_THAT(copy(often.read_deviation()), ElementsAreArray(once.read_deviation())) << model;
    for (const double g : once.conductance()) EXPECT_GE(g, 0) << model;
  }
}

TEST(Cells, DoNotDependOnTheirNeighbours) {
  for (const std::string& model : shipped()) {
    DeviceOptions options = device_of(model);
    options.open = 0.1;
    const std::vector<double> targets = ladder(options, 20);
    Cells many(options, targets, 3, 5), few(options, std::span(targets).first(7), 3, 5);
    many.age_to(1);
    few.age_to(1);
    EXPECT_THAT(copy(few.conductance()), ElementsAreArray(many.conductance().first(7))) << model;
  }
}

TEST(Cells, DifferByChipAndArray) {
  const std::vector<double> targets(5, 10);
  const std::vector<double> g = copy(Cells(device_of("pcm"), targets, 1, 1).conductance());
  EXPECT_NE(copy(Cells(device_of("pcm"), targets, 2, 1).conductance()), g);
  EXPECT_NE(copy(Cells(device_of("pcm"), targets, 1, 2).conductance()), g);
  EXPECT_EQ(copy(Cells(device_of("pcm"), targets, 1, 1).conductance()), g);
}

TEST(Cells, OfGaussianAreTheSingleCellsOfCellH) {
  for (const NoiseBase base : {NoiseBase::kTarget, NoiseBase::kGmax}) {
    DeviceOptions options;
    options.noise_relative_to = base;
    options.g_max = 40;
    const std::vector<double> targets = ladder(options, 51);
    const Cells cells(options, targets, 9, 4);
    for (std::uint32_t i = 0; i < 51; ++i) {
      const double g = program(options, targets[i], {9, 4, i});
      EXPECT_EQ(cells.conductance()[i], g);
      EXPECT_EQ(cells.read_deviation()[i], read_deviation(options, g));
    }
  }
}

// A conductance that changed little in a day continues from there: values at adjacent times are
// similar, those at distant times less so.
TEST(Cells, WalkAlongOnePath) {
  for (const std::string model : {"pcm", "rram-cmo", "neurram", "sonos"}) {
    const DeviceOptions options = device_of(model);
    Cells cells(options, std::vector<double>(4000, 0.6 * conductance_range(options).high), 1, 0);
    const auto state = [&](double t) {
      cells.age_to(t);
      return copy(cells.conductance());
    };
    const std::vector<double> early = state(10), later = state(11), late = state(1e5);
    const auto moved = [](const std::vector<double>& a, const std::vector<double>& b) {
      double mean = 0, squares = 0;
      const auto n = static_cast<double>(a.size());
      for (std::size_t i = 0; i < a.size(); ++i) mean += (b[i] - a[i]) / n;
      for (std::size_t i = 0; i < a.size(); ++i) squares += std::pow(b[i] - a[i] - mean, 2) / n;
      return std::sqrt(squares);
    };
    EXPECT_GT(moved(early, later), 0) << model;
    EXPECT_LT(moved(early, later), 0.6 * moved(early, late)) << model;
  }
}

TEST(Cells, ReadNoiseOfSonosSaturates) {
  const Cells cells(device_of("sonos"), std::vector<double>{0, 5, 16}, 1, 0);
  for (std::size_t i = 0; i < 3; ++i) {
    const double expected = 0.1258037 * (1 - std::exp(-100 * cells.conductance()[i] / 215.36557));
    EXPECT_NEAR(cells.read_deviation()[i], expected, 1e-12);
  }
}

struct Spread {
  double mean, deviation;
};
Spread spread_of(const DeviceOptions& options, double target, double seconds) {
  constexpr std::size_t kCount = 40000;
  Cells cells(options, std::vector<double>(kCount, target), 11, 0);
  cells.age_to(seconds);
  double sum = 0, squares = 0;
  for (const double g : cells.conductance()) sum += g / kCount;
  for (const double g : cells.conductance()) squares += (g - sum) * (g - sum) / kCount;
  return {sum, std::sqrt(squares)};
}

// 10^6 draws of aihwkit's StateIndependentNoiseModel at 25 uS: 24.88 +- 4.18 uS after 1 s, 15.28 +-
// 4.82 uS after an hour.
TEST(Cells, OfSimpleSpreadAsTheirSource) {
  const Spread second = spread_of(device_of("simple"), 25, 1),
               hour = spread_of(device_of("simple"), 25, 3600);
  EXPECT_NEAR(second.mean, 24.88, 0.09);
  EXPECT_NEAR(second.deviation, 4.18, 0.07);
  EXPECT_NEAR(hour.mean, 15.28, 0.1);
  EXPECT_NEAR(hour.deviation, 4.82, 0.08);
}

// Fresh cells are those of the source's first read: at 50 uS, the 0.054 uS of write-verify have
// become hypot(0.054, 0.412, 0.171) uS.
TEST(Cells, AreFreshAtTheFirstRead) {
  DeviceOptions options = device_of("rram-cmo");
  EXPECT_NEAR(spread_of(options, 50, 0).deviation, 0.449, 0.007);
  for (const char* model : {"pcm", "hermes", "simple", "rram-cmo"}) {
    options = device_of(model);
    const std::vector<double> targets = ladder(options, 20);
    Cells fresh(options, targets, 1, 0), read(options, targets, 1, 0);
    read.age_to(1);
    EXPECT_THAT(copy(fresh.conductance()), ElementsAreArray(read.conductance())) << model;
    fresh.age_to(0);
    EXPECT_THAT(copy(fresh.conductance()), ElementsAreArray(read.conductance())) << model;
  }
  options = device_of("rram-cmo");
  options.fresh = FreshState::kProgrammed;
  EXPECT_NEAR(spread_of(options, 50, 0).deviation, 0.0543, 0.001);
}

TEST(Cells, FlickerWithinAnInferenceUnlessTheyAreFaulty) {
  DeviceOptions options = device_of("hermes");
  options.g_max = 2 * 20.7;
  const std::vector<double> targets(3, 20);
  EXPECT_THAT(copy(Cells(options, targets, 1, 0).inference_deviation()), ElementsAre(0, 0, 0));
  options.inference_time = 0.042;
  const std::vector<std::uint8_t> map{0, 2, 0};
  Cells cells(options, targets, 1, 0, map);
  EXPECT_GT(cells.inference_deviation()[0], 0);
  EXPECT_EQ(cells.inference_deviation()[1], 0);
  cells.age_to(86400);
  // The scale of g_max applies, too.
  DeviceOptions own = device_of("hermes");
  own.inference_time = 0.042;
  Cells half(own, std::vector<double>(3, 10), 1, 0);
  half.age_to(86400);
  EXPECT_NEAR(cells.inference_deviation()[0], 2 * half.inference_deviation()[0], 1e-9);
  const Cells loaded = Cells::load(cells.save(), "file");
  EXPECT_THAT(copy(loaded.inference_deviation()), ElementsAreArray(cells.inference_deviation()));
  EXPECT_THAT(copy(loaded.conductance()), ElementsAreArray(cells.conductance()));
}

TEST(Cells, FaultsComeByRate) {
  DeviceOptions options = device_of("pcm");
  options.g_min = 1;
  options.stuck_low = 0.1;
  options.stuck_high = 0.2;
  options.open = 0.3;
  constexpr double kCount = 20000;
  Cells cells(options, std::vector<double>(20000, 10), 2, 0);
  const ProgrammingSummary& p = cells.programming();
  EXPECT_NEAR(static_cast<double>(p.stuck_low), 0.1 * kCount, 4 * std::sqrt(0.09 * kCount));
  EXPECT_NEAR(static_cast<double>(p.stuck_high), 0.2 * kCount, 4 * std::sqrt(0.16 * kCount));
  EXPECT_NEAR(static_cast<double>(p.open), 0.3 * kCount, 4 * std::sqrt(0.21 * kCount));
  cells.age_to(1e5);
  for (std::size_t i = 0; i < 20000; ++i) {
    switch (static_cast<Fault>(cells.faults()[i])) {
      case Fault::kStuckLow:
        EXPECT_EQ(cells.conductance()[i], 1);
        break;
      case Fault::kStuckHigh:
        EXPECT_EQ(cells.conductance()[i], 25);
        break;
      case Fault::kOpen:
        EXPECT_EQ(cells.conductance()[i], 0);
        break;
      case Fault::kNone:
        EXPECT_NE(cells.conductance()[i], 25);
    }
  }
}

TEST(Cells, FaultsComeByMap) {
  DeviceOptions options = device_of("gaussian");
  options.noise_relative_to = NoiseBase::kGmax;
  options.g_min = 2;
  const std::vector<std::uint8_t> map{0, 1, 2, 3, 0};
  const std::vector<double> targets(5, 10);
  const Cells cells(options, targets, 1, 0, map), healthy(options, targets, 1, 0);
  EXPECT_EQ(cells.conductance()[0], healthy.conductance()[0]);
  EXPECT_EQ(cells.conductance()[1], 2);
  EXPECT_EQ(cells.conductance()[2], 25);
  EXPECT_EQ(cells.conductance()[3], 0);
  EXPECT_EQ(cells.conductance()[4], healthy.conductance()[4]);
  EXPECT_GT(cells.read_deviation()[1], 0);
  EXPECT_EQ(cells.read_deviation()[3], 0);
  EXPECT_THAT([&] { Cells(options, targets, 1, 0, std::span(map).first(4)); },
              ThrowsMessage<Error>(HasSubstr("fault map: 4 entries, expected 5")));
  const std::vector<std::uint8_t> wrong{0, 0, 4, 0, 0};
  EXPECT_THAT([&] { Cells(options, targets, 1, 0, wrong); },
              ThrowsMessage<Error>(HasSubstr("entry 2 is 4")));
}

TEST(Cells, LoseTheirStateForGood) {
  DeviceOptions options = device_of("milo");
  options.retention = 1e6;
  constexpr std::size_t kCount = 10000;
  Cells cells(options, std::vector<double>(kCount, 200), 2, 0);
  std::vector<bool> lost(kCount);
  for (const double t : {1e5, 1e6}) {
    cells.age_to(t);
    double count = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      const bool is_lost = cells.conductance()[i] == 50;
      EXPECT_TRUE(is_lost || !lost[i]);
      lost[i] = is_lost;
      count += is_lost ? 1 : 0;
    }
    const double share = 1 - std::exp(-t / 1e6);
    EXPECT_NEAR(count / kCount, share, 4 * std::sqrt(share * (1 - share) / kCount));
  }
}

TEST(Cells, AgeFasterInTheHeat) {
  DeviceOptions options = device_of("pcm");
  options.activation_energy = 0.5;
  const std::vector<double> targets(10, 10);
  Cells cool(options, targets, 1, 0);
  options.temperature = 330;
  Cells hot(options, targets, 1, 0);
  const double factor = std::exp(0.5 / 8.617333262e-5 * (1.0 / 300 - 1.0 / 330));
  cool.age_to(1000 * factor);
  hot.age_to(1000);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(cool.conductance()[i], hot.conductance()[i], 1e-6);
  }
}

TEST(Cells, WriteVerifyEndsWithinTheTolerance) {
  DeviceOptions options = device_of("pcm");
  options.write_verify = true;
  options.tolerance = 0.02;
  options.fresh = FreshState::kProgrammed;
  options.pulse_energy = 7;
  options.verify_energy = 0.5;
  const std::vector<double> targets = ladder(options, 501);
  Cells cells(options, targets, 1, 0);
  const ProgrammingSummary& p = cells.programming();
  EXPECT_EQ(p.within, 501u);
  EXPECT_EQ(p.yield(), 1);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    EXPECT_NEAR(cells.conductance()[i], targets[i], 0.02 * 25 + 1e-12);
  }
  // A pulse leaves 0.3 of the difference on average; 0.02 of at most 1 is left after 3 to 4.
  const double pulses = static_cast<double>(p.pulses) / 501;
  EXPECT_GT(pulses, 2);
  EXPECT_LT(pulses, 5);
  EXPECT_GE(p.most_pulses, 4u);
  EXPECT_EQ(p.reads, p.pulses + 501);
  EXPECT_DOUBLE_EQ(p.energy,
                   7 * static_cast<double>(p.pulses) + 0.5 * static_cast<double>(p.reads));
  // Drift starts from the verified conductance.
  cells.age_to(1e6);
  EXPECT_LT(cells.conductance()[250], 0.9 * targets[250]);
}

TEST(Cells, WriteVerifyGivesUp) {
  DeviceOptions options = device_of("pcm");
  options.write_verify = true;
  options.max_pulses = 2;
  options.tolerance = 0.001;
  options.stuck_low = 0.25;
  const Cells cells(options, std::vector<double>(1000, 20), 1, 0);
  const ProgrammingSummary& p = cells.programming();
  EXPECT_LT(p.yield(), 0.1);
  EXPECT_EQ(p.most_pulses, 2u);
  EXPECT_LE(p.pulses, 2000u);
}

// Pulses that add far too much leave every cell within its conductance range.
TEST(Cells, WriteVerifyKeepsCellsWithinTheirRange) {
  for (const std::string& model : shipped()) {
    for (const double scale : {1.0, 2.0}) {
      DeviceOptions options = device_of(model);
      options.write_verify = true;
      options.fresh = FreshState::kProgrammed;
      options.pulse_noise = 3;
      options.tolerance = 0.001;
      options.g_max = scale * conductance_range(options).high;
      const ConductanceRange range = conductance_range(options);
      const Cells cells(options, ladder(options, 301), 1, 0);
      double lowest = range.high, highest = range.low;
      for (const double g : cells.conductance()) {
        lowest = std::min(lowest, g);
        highest = std::max(highest, g);
      }
      EXPECT_GE(lowest, range.low * (1 - 1e-12)) << model;
      EXPECT_LE(highest, range.high * (1 + 1e-12)) << model;
      EXPECT_GT(highest, 0.9 * range.high) << model << ": nothing was programmed";
    }
  }
}

TEST(Cells, WriteVerifySetsWhereTimedModelsBegin) {
  DeviceOptions options = device_of("neurram");
  const std::vector<double> targets(5000, 20);
  Cells published(options, targets, 1, 0);
  options.write_verify = true;
  Cells verified(options, targets, 1, 0);
  published.age_to(86400);
  verified.age_to(86400);
  const auto deviation = [](const Cells& cells) {
    double squares = 0;
    for (const double g : cells.conductance()) squares += (g - 20) * (g - 20) / 5000;
    return std::sqrt(squares);
  };
  EXPECT_LT(deviation(verified), deviation(published));
  EXPECT_GT(deviation(verified), 0.5);
}

TEST(Cells, AreSavedAndLoaded) {
  for (const std::string& model : shipped()) {
    DeviceOptions options = device_of(model);
    options.stuck_high = 0.2;
    options.write_verify = model == "pcm";
    Cells cells(options, ladder(options, 23), 0xFFFFFFFFFFFFFFFF, 7);
    cells.age_to(1);
    const std::string bytes = formats::format_safetensors(cells.save());
    Cells loaded = Cells::load(formats::parse_safetensors(bytes, "file"), "file");
    EXPECT_EQ(loaded.time(), 1);
    EXPECT_THAT(copy(loaded.conductance()), ElementsAreArray(cells.conductance())) << model;
    EXPECT_EQ(loaded.programming().pulses, cells.programming().pulses);
    EXPECT_EQ(loaded.programming().stuck_high, cells.programming().stuck_high);
    EXPECT_EQ(formats::format_safetensors(loaded.save()), bytes) << model;
    const double end = std::min(1e7, latest(model));
    cells.age_to(end);
    loaded.age_to(end);
    EXPECT_THAT(copy(loaded.conductance()), ElementsAreArray(cells.conductance())) << model;
    EXPECT_THAT(copy(loaded.read_deviation()), ElementsAreArray(cells.read_deviation())) << model;
  }
}

TEST(Cells, LoadFilesOfEarlierVersions) {
  formats::Safetensors file = Cells(device_of("pcm"), std::vector<double>(3, 10), 1, 0).save();
  std::string& device = file.metadata.at("device");
  device.insert(device.find("\"open\""), "\"nl2\":0.0,\"nl3\":0.0,");
  const Cells cells = Cells::load(file, "x.safetensors");
  EXPECT_EQ(cells.save().metadata.at("device").find("nl2"), std::string::npos);
  device.insert(device.find("\"open\""), "\"nl4\":0.0,");
  EXPECT_THAT([&] { Cells::load(file, "x.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("unknown key \"device.nl4\"")));
}

TEST(Cells, RefuseDamagedFiles) {
  const formats::Safetensors good =
      Cells(device_of("pcm"), std::vector<double>(3, 10), 1, 0).save();
  const auto expect_refused = [](formats::Safetensors file, const std::string& part) {
    EXPECT_THAT([&] { Cells::load(file, "x.safetensors"); },
                ThrowsMessage<Error>(testing::AllOf(HasSubstr("x.safetensors"), HasSubstr(part))));
  };
  for (const char* key : {"kind", "device", "seed", "array", "time", "programming", "table"}) {
    formats::Safetensors file = good;
    file.metadata.erase(key);
    expect_refused(file, key);
  }
  formats::Safetensors newer = good;
  newer.metadata["kind"] = "crosstate cells 2";
  expect_refused(newer, "a newer version of crosstate");
  formats::Safetensors unknown = good;
  unknown.tensors["faults"] = good.tensors.at("fault");
  expect_refused(unknown, "unknown tensor 'faults'");
  unknown = good;
  unknown.metadata["times"] = "0";
  expect_refused(unknown, "unknown key 'times' in the metadata");
  for (const char* key : {"seed", "time"}) {
    formats::Safetensors file = good;
    file.metadata[key] = "-1";
    expect_refused(file, key);
  }
  for (const char* name : {"target", "programmed", "conductance", "fault"}) {
    formats::Safetensors file = good;
    file.tensors.erase(name);
    expect_refused(file, name);
  }
  formats::Safetensors file = good;
  file.tensors["fault"].bytes[1] = 9;
  expect_refused(file, "fault");
  file = good;
  file.tensors["programmed"] = formats::Tensor::from(std::vector<double>{1, INFINITY, 2}, {3});
  expect_refused(file, "programmed");
  file = good;
  file.metadata["device"] = R"({"device": {"model": "moon"}})";
  expect_refused(file, "moon");
  file = good;
  file.metadata["device"] = R"({"device": {"model": "pcm", "read_noise": 0.5}})";
  expect_refused(file, "device.read_noise applies to the model gaussian");
  for (const char* time : {"inf", "1e300", "nan"}) {
    file = good;
    file.metadata["time"] = time;
    expect_refused(file, "time");
  }
  file = good;
  file.tensors["conductance"] = formats::Tensor::from(std::vector<double>{1, -1, 2}, {3});
  expect_refused(file, "conductance of cell 1: -1 uS");
  file = good;
  file.tensors["target"] = formats::Tensor::from(std::vector<double>{1, 2, 26}, {3});
  expect_refused(file, "target of cell 2: 26 uS");
  file = good;
  file.metadata["programming"] =
      R"({"within": 4, "pulses": 0, "reads": 0, "most_pulses": 0, "energy_pj": 0})";
  expect_refused(file, "programming.within: 4, expected at most 3");
}

TEST(Cells, TellInWhichSettingTheyDiffer) {
  const std::vector<double> targets(3, 10);
  DeviceOptions options = device_of("pcm");
  const Cells cells(options, targets, 1, 0);
  EXPECT_EQ(Cells(options, targets, 2, 5).other_setting(cells), "");
  options.drift = false;
  EXPECT_EQ(Cells(options, targets, 1, 0).other_setting(cells), "drift (false, not true)");
  EXPECT_EQ(Cells(device_of("simple"), targets, 1, 0).other_setting(cells),
            "model (\"simple\", not \"pcm\")");
}

TEST(Cells, RefuseTimesAndTargetsOutsideTheModel) {
  const auto expect_time = [](const std::string& model, double t, const std::string& part) {
    const DeviceOptions options = device_of(model);
    Cells cells(options, std::vector<double>{conductance_range(options).high}, 1, 0);
    EXPECT_THAT([&] { cells.age_to(t); }, ThrowsMessage<Error>(HasSubstr(part))) << model;
  };
  expect_time("neurram", 172801, "neurram: time 172801 s, expected 0 s to 172800 s");
  expect_time("neurram-cubic", 2, "0 s to 1 s");
  expect_time("sonos", 1e6, "0 s to 432000 s");
  expect_time("rram-cmo", 0.5, "0, and 1 s to");
  expect_time("taox", 1e9, "3.15576e+07 s");
  expect_time("pcm", 1e13, "1e+12 s");
  expect_time("pcm", -1, "time -1 s, expected 0 s");
  expect_time("pcm", NAN, "time nan s");
  Cells cells(device_of("pcm"), std::vector<double>{10}, 1, 0);
  cells.age_to(100);
  EXPECT_THAT([&] { cells.age_to(99); }, ThrowsMessage<Error>(HasSubstr("expected 100 s")));
  cells.age_to(100);

  const auto expect_target = [](const std::string& model, double target) {
    EXPECT_THAT(
        [&] {
          Cells(device_of(model), std::vector<double>{20, target}, 1, 0);
        },
        ThrowsMessage<Error>(HasSubstr("uS of cell 1, expected")));
  };
  expect_target("pcm", 25.1);
  expect_target("pcm", -0.1);
  expect_target("pcm", NAN);
  expect_target("rram-cmo", 8.9);
  expect_target("hermes", 20.7001);
}

// A value rounded to binary32 is the same conductance, and the same time.
TEST(Cells, ForgiveRoundingToBinary32) {
  for (const std::string& model : shipped()) {
    DeviceOptions options = device_of(model);
    const ConductanceRange range = conductance_range(options);
    std::vector<double> ends;
    for (const double end : {range.low, range.high}) {
      const auto rounded = static_cast<float>(end);
      ends.push_back(rounded);
      if (end > 0) ends.push_back(std::nextafter(rounded, 0.0f));
      if (end > 0) ends.push_back(std::nextafter(rounded, 1e9f));
    }
    EXPECT_NO_THROW(Cells(options, ends, 1, 0)) << model;
    if (range.low == 0) continue;
    options.g_min = static_cast<float>(range.low);
    EXPECT_NO_THROW(validate(options)) << model;
    options.g_min = std::nextafter(static_cast<float>(range.low), 0.0f);
    EXPECT_NO_THROW(validate(options)) << model;
  }
  Cells cells(device_of("hermes"), std::vector<double>{20.7000008}, 1, 0);
  Cells last(device_of("neurram"), std::vector<double>{20}, 1, 0);
  EXPECT_NO_THROW(last.age_to(std::nextafter(172800.0f, 1e9f)));
}

TEST(Cells, MayBeNone) {
  Cells cells(device_of("pcm"), {}, 1, 0);
  cells.age_to(10);
  EXPECT_TRUE(cells.conductance().empty());
  EXPECT_EQ(cells.programming().yield(), 1);
}

}  // namespace
}  // namespace crosstate::device
