#include "crosstate/search/design_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/testing.h"
#include "crosstate/cost/price.h"
#include "crosstate/cost/testing.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/search/pareto.h"
#include "crosstate/simulate/simulate.h"

namespace crosstate::search {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

// A network with random weights for the digits, of which 16 are held out.
inference::Model small_model() {
  return inference::Model(cost::fixtures::rounded(cost::fixtures::shape(4, 4, true, true), {1, 10},
                                                  quant::quant_preset("w8a8s8")));
}

class DesignSearchTest : public DirectoryTest {
 protected:
  DesignSearchTest() {
    run_.data.train_limit = 160;
    run_.target.device.programming_noise = 0.02;
    options_.digital = "A,C pointwise";
    options_.arrays = "32x32 64x64";
    options_.adc_bits = "4 8";
    options_.converters = "target sar";
    options_.slices = "1 2";
    options_.population = 6;
    options_.generations = 2;
    options_.sequences = 8;
    options_.chips = 2;
    options_.technology = "crossbar-180nm-taox";
  }

  SearchContext context(const std::string& name, int workers = 1) const {
    SearchContext context;
    context.directory = directory_ / name;
    context.workers = workers;
    return context;
  }
  DesignSummary search(const std::string& name, int workers = 1) const {
    return run_design_search(small_model(), run_, options_, context(name, workers));
  }
  std::string front(const std::string& name) const {
    return read_file(directory_ / name / "design-front.csv");
  }
  void expect_refused(const std::string& why) const {
    EXPECT_THAT([&] { search("refused"); }, ThrowsMessage<Error>(HasSubstr(why)));
    EXPECT_FALSE(Store::exists(directory_ / "refused"));
  }

  pipeline::RunOptions run_;
  DesignOptions options_;
};

TEST_F(DesignSearchTest, FindsTheDesignsThatNoOtherBeats) {
  const DesignSummary found = search("one");
  EXPECT_EQ(found.steps, 784u);
  EXPECT_EQ(found.sequences, 8u);
  EXPECT_EQ(found.simulated, found.designs.size());
  ASSERT_FALSE(found.front.empty());
  const auto costs_of = [](const DesignPoint& point) {
    return std::vector<double>{point.measures.energy.typical, point.measures.area.typical,
                               -point.measures.mean()};
  };
  for (std::size_t i = 0; i < found.designs.size(); ++i) {
    const bool beaten =
        std::any_of(found.designs.begin(), found.designs.end(), [&](const DesignPoint& other) {
          return dominates(costs_of(other), costs_of(found.designs[i]));
        });
    EXPECT_EQ(beaten, std::count(found.front.begin(), found.front.end(), i) == 0);
  }
  EXPECT_THAT(front("one"),
              AllOf(HasSubstr("energy_nj"), HasSubstr("accuracy_worst"),
                    HasSubstr("crossbar.rows="), testing::Not(HasSubstr("cost.converter="))));
  EXPECT_THAT(read_file(directory_ / "one/report.html"), HasSubstr("held-out sequences"));
  const json summary = to_json(found);
  EXPECT_EQ(summary.at("designs").size(), found.designs.size());
}

TEST_F(DesignSearchTest, MeasuresWhatChipsAndCostsMeasure) {
  const DesignSummary found = search("one");
  const DesignPoint& point = found.designs[found.front.front()];
  ThreadPool pool(1);
  const inference::Model model = small_model();
  pipeline::RunOptions run = run_;
  const data::Dataset held_out =
      data::first(pipeline::load_model_data(run, std::nullopt, "model", pool).validation, 8);
  simulate::SimulateOptions chips;
  chips.chips = 2;
  chips.times = "1d";
  EXPECT_EQ(simulate::simulate(model, point.design.target, held_out, pool, chips, run.seed)
                .first()
                .metric,
            point.measures.metric);
  const cost::Estimate priced =
      cost::price(model, cost::find_technology(options_.technology), found.steps,
                  point.design.target.crossbar, point.design.estimate);
  EXPECT_DOUBLE_EQ(priced.energy.total(784).typical / 1e3, point.measures.energy.typical);
  EXPECT_DOUBLE_EQ(priced.area.total(0).high, point.measures.area.high);
}

TEST_F(DesignSearchTest, EndsTheSameWithMoreWorkersAndWhenContinued) {
  const DesignSummary one = search("one");
  search("two", 2);
  EXPECT_EQ(front("two"), front("one"));

  // Stopped after some measurements; then no measurement is repeated.
  SearchContext stopped = context("stopped");
  int generations = 0;
  stopped.say = [&](const std::string& what) { generations += what.starts_with("generation"); };
  stopped.stop = [&] { return generations > 1; };
  EXPECT_TRUE(run_design_search(small_model(), run_, options_, std::move(stopped)).interrupted);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "stopped/design-front.csv"));
  for (int again = 0; again < 2; ++again) {
    SearchContext continued = context("stopped");
    continued.earlier = pipeline::Earlier::kContinue;
    std::vector<std::string> said;
    continued.say = [&](const std::string& what) {
      if (!what.starts_with("generation")) said.push_back(what);
    };
    const DesignSummary found =
        run_design_search(small_model(), run_, options_, std::move(continued));
    EXPECT_EQ(found.designs.size(), one.designs.size());
    EXPECT_EQ(front("stopped"), front("one"));
    EXPECT_EQ(said.empty(), again == 1);
  }

  // Neither with another seed.
  run_.seed = 2;
  SearchContext other = context("stopped");
  other.earlier = pipeline::Earlier::kContinue;
  EXPECT_THAT([&] { run_design_search(small_model(), run_, options_, std::move(other)); },
              ThrowsMessage<Error>(AllOf(HasSubstr("sweep.sqlite"), HasSubstr("seed was 1"))));
}

TEST_F(DesignSearchTest, NamesADamagedMeasurement) {
  search("one");
  const std::string path = (directory_ / "one/sweep.sqlite").string();
  const auto expect_damage = [&](const std::string& kind, const std::string& measures,
                                 const std::string& message) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
    const std::string set =
        "UPDATE proxies SET measures = '" + measures + "' WHERE scope LIKE '" + kind + " %'";
    EXPECT_EQ(sqlite3_exec(database, set.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    SearchContext continued = context("one");
    continued.earlier = pipeline::Earlier::kContinue;
    EXPECT_THAT([&] { run_design_search(small_model(), run_, options_, std::move(continued)); },
                ThrowsMessage<Error>(AllOf(HasSubstr(path + ": table proxies, scope \"" + kind),
                                           HasSubstr(message))));
  };
  expect_damage("chips", "[0.5, null]",
                "expected a list of numbers, one for each chip, found "
                "[0.5,null]");
  expect_damage("cost", R"({"energy": [1, 2], "area": 3})", "expected unfit, or energy, area, ");
  expect_damage("cost", "{", "expected JSON, found");
}

TEST_F(DesignSearchTest, CountsDesignsThatDoNotFit) {
  options_.digital = "encoder,A,C,pointwise,decoder";  // all or nothing
  const DesignSummary found = search("one");
  EXPECT_GT(found.unfit, 0u);
  EXPECT_EQ(found.simulated + found.unfit, found.designs.size());
  ASSERT_EQ(found.reasons.size(), 1u);
  EXPECT_THAT(found.reasons.begin()->first, HasSubstr("leaves no site for arrays"));
  EXPECT_EQ(unfit_table(found).rows.size(), 1u);
}

TEST_F(DesignSearchTest, SimulatesNothingOverBudget) {
  const DesignSummary all = search("all");
  std::vector<double> energies;
  for (const DesignPoint& point : all.designs) energies.push_back(point.measures.energy.typical);
  std::sort(energies.begin(), energies.end());
  options_.energy = energies[energies.size() / 3];
  const DesignSummary found = search("some");
  EXPECT_GT(found.over_budget, 0u);
  for (const DesignPoint& point : found.designs) {
    const bool within = point.measures.energy.typical <= options_.energy;
    EXPECT_EQ(point.measures.metric.size(), within ? 2u : 0u);
  }
  options_.energy = energies.front() / 1e3;
  EXPECT_THAT([&] { search("none"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("search.energy"), HasSubstr("0 do not fit"))));
}

TEST_F(DesignSearchTest, RequantizesStates) {
  options_.residue_bits = "0 3";
  options_.digital = "pointwise";
  const DesignSummary found = search("one");
  double shaped = 0;
  for (const DesignPoint& point : found.designs) shaped += point.design.residue_bits == 3;
  EXPECT_GT(shaped, 0);
  EXPECT_LT(shaped, static_cast<double>(found.designs.size()));
  EXPECT_THAT(front("one"), HasSubstr("residue_bits"));
  EXPECT_THAT(
      [&] { run_design_search(small_model().to_integers(), run_, options_, context("refused")); },
      ThrowsMessage<Error>(HasSubstr("integer network")));
}

TEST_F(DesignSearchTest, RefusesWhatItCannotSearch) {
  options_.technology = "accelerator-45nm";
  expect_refused("expected one of crossbars");
  options_.technology = "crossbar-14nm";
  options_.inference.accelerator = "mcu-int8";
  expect_refused("mcu-int8");
  options_.inference.accelerator = cost::kDigitalSites;
  options_.digital = "A.7";
  expect_refused("A.7");
  options_.digital = "A";
  run_.train.validation = 0;
  expect_refused("train.validation > 0");
  run_.train.validation = 0.1;
  run_.target.external.command = "true";
  expect_refused("external.command");
  run_.target.external.command = "";
  options_.age = "1e200y";
  expect_refused("search.age");
}

TEST_F(DesignSearchTest, SaysWhichSettingsHaveNoEffect) {
  const auto why = [&](const char* key) {
    return idle_reason_in_design(key, small_model(), run_, options_);
  };
  EXPECT_THAT(why("crossbar.rows"), HasSubstr("search.arrays"));
  EXPECT_THAT(why("cost.converter"), HasSubstr("search.converters"));
  EXPECT_THAT(why("run.calibration"), HasSubstr("search.residue_bits"));
  EXPECT_THAT(why("crossbar.adc_margin"), HasSubstr("crossbar.adc_range"));
  EXPECT_THAT(why("crossbar.slice_base"), IsEmpty());  // some designs have slices
  EXPECT_THAT(why("cost.accelerator"), IsEmpty());
  EXPECT_THAT(why("device.model"), IsEmpty());
  EXPECT_THAT(why("crossbar.increment_range"), IsEmpty());
  options_.digital = "";
  EXPECT_THAT(why("cost.accelerator"), HasSubstr("search.digital"));
  options_.slices = "1";
  EXPECT_THAT(why("crossbar.slice_base"), HasSubstr("crossbar.slices = 1"));
  quant::QuantOptions shaped = quant::quant_preset("w8a8s8");
  shaped.state.residue_bits = 4;
  const inference::Model model(
      cost::fixtures::rounded(cost::fixtures::shape(4, 4, true, true), {1, 10}, shaped));
  EXPECT_THAT(idle_reason_in_design("crossbar.increment_range", model, run_, options_),
              HasSubstr("noise-shaped"));
}

}  // namespace
}  // namespace crosstate::search
