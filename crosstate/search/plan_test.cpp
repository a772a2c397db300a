#include "crosstate/search/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/base/testing.h"
#include "crosstate/pipeline/testing.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class Plan : public DirectoryTest {
 protected:
  SweepPlan read(const std::string& text, const SweepOverrides& overrides = {}) const {
    return read_plan(file("s.toml", text), overrides);
  }
  static std::vector<std::string> names(const SweepPlan& plan) {
    std::vector<std::string> names;
    for (const SweepPoint& point : plan.points) names.push_back(point.name);
    return names;
  }
  std::string refusal(const std::string& text) const {
    try {
      read(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
};

TEST_F(Plan, MultipliesTheGridInTheOrderOfTheFile) {
  const SweepPlan plan = read(
      "[grid]\n\"run.seed\" = [3, 1]\nmodel.channels = [8]\n\"quant.preset\" = [\"w8a8s8\", "
      "\"w4a8s8\"]\n");
  EXPECT_THAT(plan.varied, ElementsAre("run.seed", "model.channels", "quant.preset"));
  EXPECT_THAT(names(plan), ElementsAre("model.channels=8 quant.preset=w8a8s8 run.seed=3",
                                       "model.channels=8 quant.preset=w4a8s8 run.seed=3",
                                       "model.channels=8 quant.preset=w8a8s8 run.seed=1",
                                       "model.channels=8 quant.preset=w4a8s8 run.seed=1"));
  EXPECT_EQ(plan.points[1].options.seed, 3u);
  EXPECT_EQ(plan.points[1].options.quant.preset, "w4a8s8");
  EXPECT_EQ(plan.points[1].options.model.channels, 8);
}

TEST_F(Plan, SharesAFloatTrainingWhereverItIsTheSame) {
  const SweepPlan plan = read(
      "[grid]\n\"run.seed\" = [1, 2]\n\"quant.state.bits\" = [8, 6]\n\"qat.epochs\" = [1, 2]\n"
      "\"train.learning_rate\" = [0.01, 0.02]\n");
  EXPECT_EQ(plan.points.size(), 16u);
  EXPECT_EQ(plan.parents.size(), 4u);
  for (const SweepPoint& point : plan.points) {
    const pipeline::RunOptions& parent =
        plan.parents[static_cast<std::size_t>(point.parent)].options;
    EXPECT_EQ(parent.seed, point.options.seed);
    EXPECT_EQ(parent.train.learning_rate, point.options.train.learning_rate);
    EXPECT_FALSE(parent.quantize);
  }
}

TEST_F(Plan, SharesAFloatNetworkThatIsNotPruned) {
  const SweepPlan plan = read("[grid]\n\"run.prune\" = [true, false]\n");
  ASSERT_EQ(plan.parents.size(), 1u);
  EXPECT_FALSE(plan.parents.front().options.prune_float);
  EXPECT_TRUE(plan.points.front().options.prune_float);
}

TEST_F(Plan, StartsFromAFloatNetworkThatIsNamed) {
  const SweepPlan plan = read("[run]\nstart = \"x\"\n[grid]\n\"qat.epochs\" = [1, 2]\n");
  EXPECT_TRUE(plan.parents.empty());
  EXPECT_EQ(plan.points[1].parent, -1);
}

TEST_F(Plan, KeepsOneOfEqualRuns) {
  const SweepPlan plan = read(
      "[model]\nchannels = 8\n[grid]\n\"train.clip\" = [1, 1.0, 2]\n"
      "[[list]]\n\"model.channels\" = 8\n[[list]]\n\"model.channels\" = 9\n[[list]]\n"
      "train.clip = 2\nmodel.channels = 8\n");
  EXPECT_THAT(names(plan), ElementsAre("train.clip=1.0", "train.clip=2.0", "model.channels=9"));
}

TEST_F(Plan, TellsDataSetsApartByTheirPlaceOnlyWhereItVaries) {
  EXPECT_EQ(read("[grid]\n\"data.directory\" = [\"a\", \"b\"]\n").parents.size(), 2u);
  const std::string point = "[[list]]\n\"run.seed\" = 4\n";
  EXPECT_EQ(read("[data]\ndirectory = \"a\"\n" + point).digest(), read(point).digest());
}

TEST_F(Plan, TakesBaseFileThenItselfThenTheCommandLine) {
  file("base.toml", "[model]\nchannels = 5\nstates = 6\nlayers = 7\n[train]\nepochs = 8\n");
  SweepOverrides overrides;
  overrides.before = [](FieldList& list) {
    list.set("model.layers=1");
    list.set("train.batch=11");
  };
  overrides.after = [](FieldList& list) { list.set("train.epochs=9"); };
  overrides.keys = {"train.epochs"};
  const SweepPlan plan = read(
      "[model]\nstates = 4\n[sweep]\nbase = \"base.toml\"\nchips = 7\nname = \"n\"\n[[list]]\n"
      "\"run.seed\" = 4\n",
      overrides);
  const pipeline::RunOptions& options = plan.points.at(0).options;
  EXPECT_EQ(options.model.channels, 5);
  EXPECT_EQ(options.model.states, 4);
  EXPECT_EQ(options.model.layers, 7);
  EXPECT_EQ(options.train.batch, 11);
  EXPECT_EQ(options.train.epochs, 9);
  EXPECT_EQ(options.sweep.chips, 7);
  EXPECT_EQ(plan.settings.name, "n");
}

TEST_F(Plan, RefusesWithFileLineAndKey) {
  for (const auto& [text, where, what] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"[grid]\n\"model.chanels\" = [8]\n", "s.toml:2", "model.channels"},
           {"[grid]\n\n\"model.channels\" = [8, 0]\n", "s.toml:3", "model.channels = 0"},
           {"[grid]\n\"model.channels\" = 8\n", "s.toml:2", "a list"},
           {"[grid]\n\"model.channels\" = []\n", "s.toml:2", "one or more"},
           {"[grid]\n\"model.channels\" = [[8]]\n", "s.toml:2", "plain values"},
           {"[grid]\n\"sweep.name\" = [\"a\"]\n", "s.toml:2", "sweep.name"},
           {"[grid]\n\"run.seed\" = [1979-05-27]\n", "s.toml:2", "date"},
           {"[grid]\n\"a/b\" = [1]\n", "s.toml:2", "a/b"},
           {"grid = 3\n", "s.toml:1", "[grid]"},
           {"list = 3\n", "s.toml:1", "[[list]]"},
           {"list = [3]\n", "s.toml:1", "[[list]]"},
           {"[model]\nwidht = 3\n[grid]\n\"run.seed\" = [1]\n", "s.toml:2", "widht"},
           {"[modle]\n[grid]\n\"run.seed\" = [1]\n", "s.toml:1", "modle"},
           {"[grid\n", "s.toml:1", ""},
           {"[grid]\n\"quant.preset\" = [\"w8a8s8\", \"w8a1s8\"]\n", "s.toml:1", "w8a1s8"},
           {"\n[[list]]\n\"model.states\" = 3\n", "s.toml:2", "even"},
           {"[sweep]\nbase = \"absent.toml\"\n[[list]]\n", "absent.toml", ""},
           {"[model]\nchannels = 8\n", "s.toml", "no points"},
           {"", "s.toml", "no points"},
       }) {
    EXPECT_THAT(refusal(text), AllOf(HasSubstr(where), HasSubstr(what))) << text;
  }
}

TEST_F(Plan, RefusesAKeyFromBothSides) {
  SweepOverrides overrides;
  overrides.keys = {"run.seed"};
  EXPECT_THROW(read("[grid]\n\"run.seed\" = [1]\n", overrides), Error);
}

TEST_F(Plan, RefusesMorePointsThanAnyoneWaitsFor) {
  std::string many = "[1";
  for (int i = 2; i <= 400; ++i) many += ',' + std::to_string(i);
  EXPECT_THAT(refusal("[grid]\n\"run.seed\" = " + many + "]\n\"qat.epochs\" = " + many + "]\n"),
              HasSubstr("s.toml:3"));
}

TEST_F(Plan, RefusesSettingsWithoutEffectInAnyPoint) {
  EXPECT_THAT(
      refusal("[grid]\n\"prune.scope\" = [\"block\"]\n\"run.seed\" = [1]\n"),
      AllOf(HasSubstr("s.toml:2"), HasSubstr("prune.scope"), HasSubstr("run.prune = false")));
  EXPECT_THAT(refusal("[grid]\n\"prune.steps\" = [3]\n"),
              AllOf(HasSubstr("s.toml:2"), HasSubstr("prune.steps has no effect in")));
  EXPECT_THAT(refusal("[[list]]\nsimulate.chips = 3\n"),
              AllOf(HasSubstr("s.toml:2"), HasSubstr("run.crossbar = false")));
  const SweepPlan plan = read(
      "[grid]\n\"run.quantize\" = [true, false]\n\"quant.preset\" = [\"w8a8s8\", \"w4a8s8\"]\n");
  EXPECT_EQ(plan.points.size(), 4u);
  EXPECT_EQ(idle_reason_in_plan(plan, "quant.preset"), "");
  EXPECT_EQ(idle_reason_in_plan(plan, "prune.scope"), "run.prune = false");
}

TEST_F(Plan, RefusesAnAgeThatTheCellsDoNotDefine) {
  const std::string chips = "[run]\ncrossbar = true\n[device]\nmodel = \"neurram\"\n";
  EXPECT_THAT(refusal(chips + "[[list]]\nsimulate.times = \"0 1d\"\n[[list]]\nsimulate.times = \"0 "
                              "3d\"\n"),
              AllOf(HasSubstr("s.toml:7"), HasSubstr("simulate.times"), HasSubstr("172800 s")));
}

TEST_F(Plan, ChecksEveryCombinationOfASection) {
  // Each value is valid in some earlier point.
  EXPECT_THAT(refusal("[grid]\n\"model.modes\" = [\"complex\", \"real\"]\n"
                      "\"model.states\" = [4, 3]\n\"model.init\" = [\"real\"]\n"),
              AllOf(HasSubstr("model.states=3"), HasSubstr("even")));
  EXPECT_THAT(refusal("[[list]]\nrun.seed = 1\n[[list]]\ncrossbar.slices = 2\nrun.crossbar = true\n"
                      "[[list]]\nexternal.command = \"x\"\nrun.crossbar = true\n"
                      "simulate.chips = 1\n[[list]]\nexternal.command = \"x\"\n"
                      "crossbar.slices = 2\nrun.crossbar = true\nsimulate.chips = 1\n"),
              AllOf(HasSubstr("s.toml:10"), HasSubstr("crossbar.slices = 2")));
}

// Every run occurs twice; planning takes negligible time.
TEST_F(Plan, TakesTenThousandPoints) {
  std::string seeds = "[1";
  for (int i = 2; i <= 2500; ++i) seeds += ',' + std::to_string(i);
  const SweepPlan plan =
      read("[grid]\n\"run.seed\" = " + seeds + "]\n\"qat.epochs\" = [1, 2, 1, 2]\n");
  ASSERT_EQ(plan.points.size(), 5000u);
  EXPECT_EQ(plan.parents.size(), 2500u);
  EXPECT_EQ(plan.points.back().name, "qat.epochs=2 run.seed=2500");
  EXPECT_EQ(plan.points.back().parent, 2499);
  pipeline::RunOptions options;
  options.seed = 2500;
  options.qat.epochs = 2;
  EXPECT_EQ(plan.points.back().config, exact_json_text(run_config(options)));
  EXPECT_EQ(plan.value_of(plan.points.back(), "run.seed"), "2500");
  EXPECT_EQ(plan.value_of(plan.points.back(), "model.channels"), "16");
}

TEST_F(Plan, FindsWhatIsMissingBeforeItMakesPoints) {
  SweepOverrides overrides;
  overrides.inputs = true;
  const auto refused = [&](const std::string& text) {
    try {
      read(text, overrides);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string seed = "[grid]\n\"run.seed\" = [1]\n";
  EXPECT_THAT(refused("[data]\ndirectory = \"/absent\"\n" + seed), HasSubstr("data.directory"));
  EXPECT_EQ(refused("[data]\ndirectory = \"/absent\"\n[grid]\n\"data.directory\" = [\"x\"]\n"),
            "accepted");
}

using PlanOfFiles = pipeline::RunDirectoryTest;

// Each is refused although only one of the points names it.
TEST_F(PlanOfFiles, RefusesNetworksThatSomePointCannotUse) {
  pipeline::RunOptions larger = options_;
  larger.model.channels = 8;
  larger.quantize = false;
  pipeline::run(options_, context("own"));
  pipeline::run(larger, context("larger"));
  const auto path = [&](const std::string& file) { return (directory_ / file).string(); };
  const auto refusal = [&](const pipeline::RunOptions& options) {
    SweepPlan plan;
    add_point(plan, options_, {"run.seed"}, "test");
    add_point(plan, options, {"run.start", "qat.teacher"}, "test");
    try {
      require_inputs(plan);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  pipeline::RunOptions started = options_, taught = options_;
  taught.qat.distill = 0.5;
  for (const auto& [file, why] : std::vector<std::pair<std::string, std::string>>{
           {"absent", ""}, {"own/qat.safetensors", "is already quantized"}}) {
    started.start = taught.qat.teacher = path(file);
    EXPECT_THAT(refusal(started), AllOf(HasSubstr("run.start = " + path(file)), HasSubstr(why)));
    EXPECT_THAT(refusal(taught), AllOf(HasSubstr("qat.teacher = " + path(file)), HasSubstr(why)));
  }
  started.start = taught.qat.teacher = path("own/float.safetensors");
  EXPECT_EQ(refusal(started), "accepted");
  EXPECT_EQ(refusal(taught), "accepted");
  started.data.permutation_seed = taught.data.permutation_seed = 2;
  EXPECT_THAT(refusal(started), HasSubstr("was trained on other data"));
  EXPECT_THAT(refusal(taught), HasSubstr("was trained on other data"));

  started = taught = options_;
  taught.qat.distill = 0.5;
  started.start = taught.qat.teacher = path("larger/float.safetensors");
  EXPECT_THAT(refusal(started), HasSubstr("model.channels is 8, expected 4"));
  EXPECT_EQ(refusal(taught), "accepted");
  taught.qat.distill_streams = 1;
  EXPECT_THAT(refusal(taught), HasSubstr("8 channels and 1 layers, expected those of [model]"));
  taught.quantize = false;  // without a second training
  EXPECT_EQ(refusal(taught), "accepted");
}

TEST_F(Plan, IsAnotherWithOtherFiles) {
  const std::string start = file("start", "one");
  const std::string text =
      "[data]\ntest_limit = 4\n[run]\nstart = \"" + start + "\"\n[grid]\n\"run.seed\" = [1, 2]\n";
  const auto identified = [&](const std::string& of) {
    SweepPlan plan = read(of);
    identify(plan);
    return plan;
  };
  const SweepPlan first = identified(text);
  EXPECT_EQ(identified(text).digest(), first.digest());
  EXPECT_THAT(first.points[0].config, HasSubstr("checksum"));
  EXPECT_THAT(given_files(first), ElementsAre(start));
  EXPECT_THAT(given_files(read("[qat]\nteacher = \"a:b\"\n[[list]]\nrun.seed = 1\n")),
              ElementsAre("a", "b"));
  file("start", "two");
  EXPECT_NE(identified(text).digest(), first.digest());

  // The float network of other data also gets a name of its own.
  const std::string part = "[data]\ntest_limit = 3\n[grid]\n\"run.seed\" = [1, 2]\n";
  const SweepPlan own = identified(part);
  EXPECT_NE(own.parents[0].name, own.parents[1].name);
  EXPECT_NE(own.parents[0].name, read(part).parents[0].name);
  EXPECT_EQ(own.parents[0].name, identified(part).parents[0].name);
  // A point that is added later finds the float network of the others.
  SweepPlan grown = own;
  pipeline::RunOptions more = own.points[0].options;
  more.qat.epochs += 1;
  add_point(grown, more, {"run.seed", "qat.epochs"}, "test");
  EXPECT_EQ(grown.points.back().parent, own.points[0].parent);
  EXPECT_EQ(grown.parents.size(), own.parents.size());
  EXPECT_THROW(identified("[data]\ndirectory = \"absent\"\n[[list]]\n"), Error);
}

TEST_F(Plan, DigestTellsPlansApart) {
  const auto digest = [&](const std::string& text) { return read(text).digest(); };
  EXPECT_EQ(digest("[grid]\n\"run.seed\" = [1, 2]\n"), digest("[grid]\n\"run.seed\" = [1, 2]\n"));
  EXPECT_NE(digest("[grid]\n\"run.seed\" = [1, 2]\n"), digest("[grid]\n\"run.seed\" = [2, 1]\n"));
  EXPECT_NE(digest("[grid]\n\"run.seed\" = [1]\n"),
            digest("[model]\nlayers = 3\n[grid]\n\"run.seed\" = [1]\n"));
}

}  // namespace
}  // namespace crosstate::search
