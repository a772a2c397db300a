// Networks on the chip of examples/simulated_chip.py, through the text protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/hardware/external.h"
#include "crosstate/integer/testing.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/chip.h"
#include "crosstate/simulate/journal.h"
#include "crosstate/simulate/simulate.h"

namespace crosstate::simulate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::string python_chip(const std::string& arguments = "") {
  return "exec python3 '" CROSSTATE_SOURCE_DIR "/examples/simulated_chip.py' " + arguments;
}

// 40 sequences of up to 9 steps.
const data::Dataset& sequences() {
  static const data::Dataset set =
      model::reference::random_set(3, 40, 9, integer::fixtures::kTask, true);
  return set;
}

// With two layers, complex modes and gates; or with one layer, real modes and no gates.
integer::IntegerNetwork network(int number) {
  return integer::fixtures::network(number, sequences(), integer::fixtures::format(number, true));
}
const integer::IntegerNetwork& gated() {
  static const integer::IntegerNetwork n = network(1);
  return n;
}

// Cells without errors, on small arrays with some leakage.
crossbar::Target ideal() {
  crossbar::Target target;
  target.device.programming_noise = target.device.read_noise = 0;
  target.device.g_min = 1;
  target.crossbar.rows = target.crossbar.columns = 12;
  target.crossbar.adc_bits = 16;
  return target;
}

crossbar::Target external(const std::string& arguments = "") {
  crossbar::Target target = ideal();
  target.external.command = python_chip(arguments);
  target.external.timeout = 20;
  return target;
}

std::vector<ChipResult> on_chip(const integer::IntegerNetwork& n, const crossbar::Target& target,
                                int threads = 2) {
  ThreadPool pool(threads);
  const data::Batch batch = model::reference::batch_of(sequences());
  const mapping::Mapping mapping = mapping::map_network(n, target.crossbar, batch.length);
  std::unique_ptr<hardware::Backend> backend;
  if (target.external.used()) {
    backend =
        std::make_unique<hardware::ExternalChip>(target.external, mapping.arrays.size(), 12, 24);
  }
  Chip chip(n, mapping, target, 1, 0, backend.get());
  chip.age_to(3);
  return chip.run(batch, 0, pool);
}

// Bit-identical: sums are integers, and the error from the order of adding currents is rounded
// away.
void expect_ideal(const integer::IntegerNetwork& n, const crossbar::Target& target) {
  crossbar::Target simulated = target;
  simulated.external = {};
  const std::vector<ChipResult> want = on_chip(n, simulated), found = on_chip(n, target);
  ASSERT_EQ(found.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(found[i].scores, want[i].scores) << "sequence " << i;
  }
}

TEST(NetworkOnAnExternalChip, WithoutErrorsIsTheIdealOne) {
  expect_ideal(gated(), external());
  crossbar::Target target = external();
  target.crossbar.recurrence = crossbar::PoleStorage::kDirect;
  target.crossbar.driven = crossbar::DrivenRows::kAll;
  target.external.voltage = 0.07;
  expect_ideal(network(3), target);
}

TEST(NetworkOnAnExternalChip, TakesSlices) {
  crossbar::Target target = external();
  target.crossbar.driven = crossbar::DrivenRows::kAll;
  target.crossbar.dac_bits = 4;
  expect_ideal(network(3), target);
}

std::vector<double> scores_of(const std::vector<ChipResult>& results) {
  std::vector<double> scores;
  for (const ChipResult& r : results) scores.insert(scores.end(), r.scores.begin(), r.scores.end());
  return scores;
}

TEST(NetworkOnAnExternalChip, ErrorsOfItsCellsShowOnAnyNumberOfThreadsAlike) {
  crossbar::Target target = external("--error 0.1 --noise 0.01");
  target.crossbar.driven = crossbar::DrivenRows::kAll;
  const std::vector<double> scores = scores_of(on_chip(network(3), target, 1));
  EXPECT_EQ(scores_of(on_chip(network(3), target, 3)), scores);
  EXPECT_NE(scores_of(on_chip(network(3), ideal())), scores);
}

// An array with one column at a tenth of its intended conductance, and its correction.
TEST(NetworkOnAnExternalChip, IsCompensated) {
  class Weak : public hardware::Backend {
   public:
    void program(std::size_t, std::span<const double> g) override { g_.assign(g.begin(), g.end()); }
    void age_to(double) override {}
    void multiply(std::size_t, hardware::BitLines lines, std::size_t count,
                  std::span<const double> voltages, std::span<double> currents) override {
      const std::size_t rows = voltages.size() / count, all = g_.size() / rows;
      for (std::size_t i = 0; i < currents.size(); ++i) {
        currents[i] = 0;
        for (std::size_t r = 0; r < rows; ++r) {
          const double v = voltages[i / lines.count * rows + r];
          highest = std::max(highest, std::abs(v));
          currents[i] += 0.1 * v * g_[r * all + lines.first + i % lines.count];
        }
      }
    }
    double highest = 0;

   private:
    std::vector<double> g_;
  };
  crossbar::Target target = ideal();
  target.crossbar.compensation = crossbar::Compensation::kColumn;
  const std::vector<float> weights{3, -1, 2};
  Weak weak;
  crossbar::ProgrammedArray array({.weights = weights, .rows = 3, .columns = 1, .largest_code = 7},
                                  target, 1, 0, &weak);
  const auto sum = [&] {
    AlignedFloats in(3 * kLanes, 7), out(kLanes);
    crossbar::ReadScratch scratch;
    array.multiply(0, 1, 1, {in.data(), kLanes}, {out.data(), kLanes}, 0, 0, scratch);
    return out[5];
  };
  EXPECT_NEAR(sum(), 2.8, 1e-5);
  array.compensate();
  EXPECT_NEAR(sum(), 28, 1e-4);
  EXPECT_NEAR(weak.highest, target.external.voltage, 1e-12);
}

// A simulation with a journal, as in the command simulate.
class ResumedSimulation : public testing::Test {
 protected:
  std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) / ("external-" + std::to_string(getpid()));
  std::vector<std::pair<std::size_t, std::size_t>> done_;  // age and first sequence of chunks
  ~ResumedSimulation() override { std::filesystem::remove(path_); }

  SimulateSummary run(const std::string& chip, bool resume) {
    crossbar::Target target = external(chip);
    target.crossbar.driven = crossbar::DrivenRows::kAll;
    SimulateJournal journal(path_, {{"model", "m"}}, resume);
    done_.clear();
    SimulateContext context;
    context.known = [&](int c, std::size_t age) { return journal.find(c, age); };
    context.finished = [&](int c, std::size_t age, const SimulateContext::Sums& sums) {
      journal.add(c, age, sums);
    };
    context.known_chunk = [&](int c, std::size_t age, std::size_t first, std::size_t last) {
      return journal.find_chunk(c, age, first, last);
    };
    context.finished_chunk = [&](int c, std::size_t age, std::size_t first, std::size_t last,
                                 const SimulateContext::Sums& sums) {
      journal.add_chunk(c, age, first, last, sums);
      done_.emplace_back(age, first);
    };
    ThreadPool pool(2);
    return simulate(network(3), sequences(), target, {.chips = 1, .times = "0 10"}, 1, pool,
                    context);
  }
};

TEST_F(ResumedSimulation, RepeatsNothingAndEndsAlike) {
  const SimulateSummary whole = run("--error 0.3", false);
  EXPECT_TRUE(whole.external);
  const std::vector<std::pair<std::size_t, std::size_t>> all = {{0, 0}, {0, 16}, {0, 32},
                                                                {1, 0}, {1, 16}, {1, 32}};
  EXPECT_EQ(done_, all);

  // It is killed repeatedly until all work is done.
  std::vector<std::pair<std::size_t, std::size_t>> parts;
  SimulateSummary last;
  int attempts = 0;
  for (bool finished = false; !finished && attempts < 10; ++attempts) {
    try {
      last = run("--error 0.3 --die-after 90", attempts > 0);
      finished = true;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("ended by signal 9"));
    }
    parts.insert(parts.end(), done_.begin(), done_.end());
  }
  EXPECT_GT(attempts, 2);
  EXPECT_LT(attempts, 10);
  EXPECT_EQ(parts, all);
  ASSERT_EQ(last.ages.size(), 2u);
  for (std::size_t age = 0; age < 2; ++age) {
    EXPECT_EQ(last.ages[age].metric, whole.ages[age].metric);
  }

  // The driver is not started if all results are known.
  const SimulateSummary again = run("--no-such-option", true);
  EXPECT_EQ(again.ages[1].metric, whole.ages[1].metric);
}

TEST(NetworkOnAnExternalChip, IsOne) {
  ThreadPool pool(1);
  EXPECT_THAT(
      [&] { simulate(gated(), sequences(), external(), {.chips = 2}, 1, pool); },
      ThrowsMessage<Error>(AllOf(HasSubstr("simulate.chips = 2"), HasSubstr("expected 1"))));
}

// The arrays of a chip of the caller, without errors.
class OwnArrays : public hardware::Backend {
 public:
  void program(std::size_t array, std::span<const double> g) override {
    arrays_.resize(std::max(arrays_.size(), array + 1));
    arrays_[array].assign(g.begin(), g.end());
  }
  void age_to(double) override {}
  void multiply(std::size_t array, hardware::BitLines lines, std::size_t count,
                std::span<const double> voltages, std::span<double> currents) override {
    const std::vector<double>& g = arrays_[array];
    const std::size_t rows = voltages.size() / count, all = g.size() / rows;
    for (std::size_t i = 0; i < currents.size(); ++i) {
      currents[i] = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        currents[i] +=
            voltages[i / lines.count * rows + r] * g[r * all + lines.first + i % lines.count];
      }
    }
  }

 private:
  std::vector<std::vector<double>> arrays_;
};

TEST(NetworkOnAChipOfTheCaller, WithoutErrorsIsTheIdealOne) {
  OwnArrays chip;
  SimulateContext context;
  context.chip = &chip;
  ThreadPool pool(2);
  const SimulateSummary own =
      simulate(gated(), sequences(), ideal(), {.chips = 1}, 1, pool, context);
  const SimulateSummary simulated = simulate(gated(), sequences(), ideal(), {.chips = 1}, 1, pool);
  EXPECT_TRUE(own.external);
  EXPECT_EQ(own.first().sums, simulated.first().sums);
  EXPECT_THAT([&] { simulate(gated(), sequences(), ideal(), {.chips = 2}, 1, pool, context); },
              ThrowsMessage<Error>(HasSubstr("expected 1")));
}

}  // namespace
}  // namespace crosstate::simulate
