#include "crosstate/search/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/base/files.h"
#include "crosstate/base/testing.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Results : public DirectoryTest {
 protected:
  Results() {
    write_file(directory_ / "s.toml",
               "[sweep]\nseries = \"quant.preset\"\n[grid]\n\"quant.preset\" = [\"w8a8s8\", "
               "\"w4a8s8\", \"w2a8s8\"]\n\"model.layers\" = [2]\n\"run.seed\" = [1, 2]\n");
    plan_ = read_plan((directory_ / "s.toml").string());
    store_ = std::make_unique<Store>(directory_);
    store_->add(plan_.points);
  }

  void record(std::size_t point, double accuracy, double bytes) {
    Outcome outcome;
    outcome.status = PointStatus::kDone;
    outcome.metrics = {{"accuracy", accuracy}, {"bytes", bytes}, {"float_accuracy", 0.75}};
    store_->record(plan_.points[point].name, outcome);
  }

  SweepPlan plan_;
  std::unique_ptr<Store> store_;
};

TEST_F(Results, AveragesOverSeedsAndFindsTheFront) {
  record(0, 0.9, 800);  // w8
  record(1, 0.8, 800);
  record(2, 0.95, 400);  // w4: better and smaller
  record(3, 0.85, 400);
  record(4, 0.5, 200);  // w2
  record(5, 0.7, 200);
  const SweepResults results = collect(plan_, *store_);
  EXPECT_THAT(results.keys, ElementsAre("quant.preset"));
  ASSERT_EQ(results.groups.size(), 3u);
  const SeedSpread& w8 = results.groups[0].metrics.at("accuracy");
  EXPECT_NEAR(w8.mean, 0.85, 1e-15);
  EXPECT_NEAR(w8.deviation, std::sqrt(2 * 0.05 * 0.05), 1e-15);
  EXPECT_TRUE(std::isnan(results.groups[0].metrics.at("qat_accuracy").mean));
  EXPECT_THAT(results.front, ElementsAre(2, 1));
  EXPECT_THAT(front_csv(plan_, results),
              HasSubstr("quant.preset,runs,bytes,bytes_deviation,accuracy,accuracy_deviation\n"
                        "w2a8s8,2,200,0,0.6,"));
  const report::Table table = summary_table(plan_, results);
  EXPECT_THAT(table.header, ElementsAre("quant.preset", "runs", "float (%)", "bytes"));
  EXPECT_THAT(table.rows[0], ElementsAre("w8a8s8", "2", "75.00 ± 0.00", "800"));
}

TEST_F(Results, LeavesOutWhatIsNotDone) {
  record(0, 0.9, 800);
  store_->record(plan_.points[1].name, failed_outcome("why, \"oh\""));
  const SweepResults results = collect(plan_, *store_);
  EXPECT_EQ(results.done, 1u);
  EXPECT_EQ(results.failed, 1u);
  ASSERT_EQ(results.groups.size(), 1u);
  EXPECT_TRUE(std::isnan(results.groups[0].metrics.at("accuracy").deviation));
  const std::string csv = results_csv(plan_, results);
  EXPECT_THAT(csv, HasSubstr("point,quant.preset,model.layers,run.seed,status,error,accuracy,"));
  EXPECT_THAT(csv, HasSubstr(",w8a8s8,2,2,failed,\"why, \"\"oh\"\"\",,"));
  EXPECT_THAT(csv, HasSubstr(",w4a8s8,2,1,pending,,"));
  EXPECT_EQ(failure_table(plan_, results).rows.size(), 1u);
  const report::Report report = write_results(plan_, results, directory_);
  for (const char* file : {"results.csv", "front.csv", "report.html"}) {
    EXPECT_TRUE(fs::exists(directory_ / file)) << file;
  }
  ASSERT_EQ(report.plots.size(), 1u);
  EXPECT_EQ(report.plots[0].series.size(), 2u);  // w8a8s8 and the front
}

TEST_F(Results, DrawsStagesAsSeries) {
  plan_.settings.series = "stage";
  record(0, 0.9, 800);
  const report::Report report = write_results(plan_, collect(plan_, *store_), directory_);
  ASSERT_EQ(report.plots[0].series.size(), 2u);
  EXPECT_THAT(report.plots[0].series[0].name, HasSubstr("post-training"));
}

}  // namespace
}  // namespace crosstate::search
