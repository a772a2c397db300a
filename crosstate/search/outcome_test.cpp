#include "crosstate/search/outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/random.h"
#include "crosstate/base/utf8.h"

namespace crosstate::search {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::ThrowsMessage;

// As between two processes.
Outcome sent(const Outcome& outcome) {
  return outcome_from(parse_json(exact_json_text(to_json(outcome))));
}

std::uint64_t bits_of(double value) { return std::bit_cast<std::uint64_t>(value); }

void expect_same(const Outcome& found, const Outcome& expected) {
  EXPECT_EQ(found.status, expected.status);
  EXPECT_EQ(found.error, expected.error);
  EXPECT_EQ(bits_of(found.seconds), bits_of(expected.seconds));
  ASSERT_EQ(found.metrics.size(), expected.metrics.size());
  for (const auto& [name, value] : expected.metrics) {
    EXPECT_EQ(bits_of(found.metrics.at(name)), bits_of(value)) << name;
  }
}

cost::MemorySummary memory_of(std::size_t weights) {
  cost::MemorySummary memory;
  std::size_t values = weights;
  for (const auto& kind : kNames<cost::MemoryKind>) {
    memory.sites.push_back({"site", kind.value, values++, 8});
  }
  return memory;
}

// A run in which every stage was done, with different results.
pipeline::RunSummary whole_run(const task::Task& task) {
  pipeline::RunSummary summary;
  summary.readout.task = &task;
  summary.readout.names = {"a", "b"};
  summary.seconds = 12.5;
  summary.test_sequences = 100;
  summary.parameters = 400;
  summary.pruned_size.parameters = 300;
  double metric = 0.5;
  for (pipeline::StageSummary* stage :
       {&summary.float_stage, &summary.pruned, &summary.ptq, &summary.qat}) {
    stage->done = true;
    stage->metric = metric;
    stage->validation_metric = metric + 0.05;
    stage->memory = memory_of(static_cast<std::size_t>(1000 * metric));
    metric += 0.1;
  }
  summary.qat.weight_bits = 4;
  summary.qat.state_bits = 6;
  summary.qat.sums.assign(task.sums(summary.readout), 0);
  std::vector<float> outputs = {1, -1}, target(summary.readout.width(), 0);
  for (int i = 0; i < 100; ++i) {
    std::swap(outputs[0], outputs[1]);
    target[0] = i % 4 == 0 ? 1.0f : 0.0f;
    task.add(summary.readout, task::Output(outputs), target, summary.qat.sums);
  }
  summary.qat.metric = task::primary_value(summary.readout, summary.qat.sums);
  summary.crossbar.done = true;
  summary.crossbar.chips.ages = {{0, {0.6, 0.8}, 0.7, 0.1, 0.6, {}}, {1, {0, 0}, 0, 0, 0, {}}};
  return summary;
}

std::set<std::string> columns_of(const task::Task& task) {
  std::set<std::string> columns;
  for (const Metric& metric : metrics_of(task)) {
    EXPECT_TRUE(columns.insert(metric.name).second) << task.name() << ": twice " << metric.name;
  }
  return columns;
}

TEST(Outcomes, AreSentToTheLastBit) {
  Random random(1, Stream::kTest);
  for (int i = 0; i < 100; ++i) {
    Outcome outcome;
    outcome.status = PointStatus::kDone;
    outcome.seconds = std::exp(random.uniform(-20, 20));
    for (const std::string& name : metric_names()) {
      double value = 0;
      do {
        value = std::bit_cast<double>(std::uint64_t{random.bits()} << 32 | random.bits());
      } while (!std::isfinite(value));
      outcome.metrics[name] = value;
    }
    expect_same(sent(outcome), outcome);
  }
  Outcome extremes;
  extremes.metrics = {{"a", -0.0}, {"b", std::numeric_limits<double>::denorm_min()}};
  expect_same(sent(extremes), extremes);
  expect_same(sent(failed_outcome("a \"quoted\"\nline, µ")),
              failed_outcome("a \"quoted\"\nline, µ"));
}

TEST(Outcomes, RefuseWhatIsNone) {
  const json whole = to_json(failed_outcome("why"));
  const std::string expected = "outcome: expected status, error, metrics and seconds, found ";
  const auto expect_refused = [&](const json& from, const std::string& message) {
    EXPECT_THAT([&] { outcome_from(from); }, ThrowsMessage<Error>(HasSubstr(message)))
        << exact_json_text(from);
  };
  for (const auto& [key, value] : whole.items()) {
    json part = whole, wrong = whole;
    part.erase(key);
    expect_refused(part, expected + "{");
    wrong[key] = json::array({json::object()});
    expect_refused(wrong, expected);
    wrong[key] = nullptr;
    expect_refused(wrong, expected);
  }
  for (const json& other : {json(), json(1), json("text"), json::array(), json::object()}) {
    expect_refused(other, expected + exact_json_text(other));
  }
  // Not even UTF-8.
  EXPECT_THAT(
      [] {
        outcome_from(json{{"error", "\xff"}});
      },
      ThrowsMessage<Error>(HasSubstr(expected + "{\"error\":\"\uFFFD\"}")));
  json status = whole;
  status["status"] = "finished";
  EXPECT_THAT([&] { outcome_from(status); },
              ThrowsMessage<Error>(AllOf(HasSubstr("status"), HasSubstr("finished"),
                                         HasSubstr("pending"), HasSubstr("failed"))));
}

TEST(Outcomes, OfFailuresAreShortAndReadable) {
  std::string error = "x";
  for (int i = 0; i < 400; ++i) error += "ä";  // the limit falls inside a character
  const Outcome outcome = failed_outcome(error);
  EXPECT_EQ(outcome.status, PointStatus::kFailed);
  EXPECT_LE(outcome.error.size(), 503u);
  EXPECT_GE(outcome.error.size(), 490u);
  EXPECT_EQ(as_utf8(outcome.error), outcome.error);
  EXPECT_THAT(outcome.error, testing::StartsWith(error.substr(0, 490)));
  EXPECT_EQ(failed_outcome("short").error, "short");
  EXPECT_TRUE(std::isnan(outcome.metric("accuracy")));
}

// A result without a column would be lost, and a column without a result would stay empty.
TEST(OutcomeMetrics, AreTheColumnsOfTheTask) {
  for (const task::Task* task : task::tasks()) {
    SCOPED_TRACE(task->name());
    const pipeline::RunSummary summary = whole_run(*task);
    const Outcome outcome = outcome_of(summary, summary.qat.sums);
    std::set<std::string> measured;
    for (const auto& [name, value] : outcome.metrics) measured.insert(name);
    EXPECT_EQ(measured, columns_of(*task));
  }
}

TEST(OutcomeMetrics, HaveNamesOfTheirOwn) {
  const std::vector<std::string> names = metric_names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  for (const Metric& metric : metrics()) {
    EXPECT_THAT(names, Contains(metric.name));
    EXPECT_NE(metric.meaning, "") << metric.name;
  }
  for (const task::Task* task : task::tasks()) {
    for (const task::TaskMetric& metric : task->metrics()) {
      EXPECT_EQ(metric_of(metric.name, *task).kind, &metric) << metric.name;
    }
    for (const std::string& column : columns_of(*task)) {
      EXPECT_EQ(metric_of(column, *task).name, column);
    }
    EXPECT_EQ(metric_of("crossbar_deviation", *task).kind, &task->primary());
    EXPECT_EQ(metric_of("bytes", *task).kind, nullptr);
  }
  EXPECT_THAT([] { metric_of("r2", task::classification()); },
              ThrowsMessage<Error>(AllOf(HasSubstr("r2"), HasSubstr("classification"))));
  EXPECT_THAT([] { metric_of("", task::regression()); },
              ThrowsMessage<Error>(HasSubstr("regression")));
}

TEST(OutcomeMetrics, AreThoseOfTheirStages) {
  pipeline::RunSummary summary = whole_run(task::classification());
  Outcome outcome = outcome_of(summary, {});
  EXPECT_EQ(outcome.status, PointStatus::kDone);
  EXPECT_EQ(outcome.seconds, 12.5);
  EXPECT_EQ(outcome.metric("float_accuracy"), 0.5);
  EXPECT_EQ(outcome.metric("float_validation_accuracy"), 0.5 + 0.05);
  EXPECT_EQ(outcome.metric("ptq_accuracy"), summary.ptq.metric);
  EXPECT_EQ(outcome.metric("ptq_bytes"), static_cast<double>(summary.ptq.memory.total()));
  EXPECT_EQ(outcome.metric("qat_accuracy"), summary.qat.metric);
  EXPECT_EQ(outcome.metric("accuracy"), summary.qat.metric);
  EXPECT_EQ(outcome.metric("validation_accuracy"), summary.qat.validation_metric);
  EXPECT_EQ(outcome.metric("bytes"), static_cast<double>(summary.qat.memory.total()));
  EXPECT_EQ(outcome.metric("state_bytes"),
            static_cast<double>(summary.qat.memory.bytes(cost::MemoryKind::kState)));
  EXPECT_EQ(outcome.metric("weight_bits"), 4);
  EXPECT_EQ(outcome.metric("state_bits"), 6);
  EXPECT_EQ(outcome.metric("parameters"), 300);
  EXPECT_EQ(outcome.metric("crossbar_accuracy"), 0.7);
  EXPECT_EQ(outcome.metric("crossbar_deviation"), 0.1);
  EXPECT_THAT(outcome.metrics, Not(Contains(Key("integer_accuracy"))));

  summary.qat = {};
  summary.crossbar = {};
  outcome = outcome_of(summary, {});
  EXPECT_EQ(outcome.metric("accuracy"), summary.pruned.metric);
  EXPECT_EQ(outcome.metric("bytes"), static_cast<double>(summary.pruned.memory.total()));
  EXPECT_EQ(outcome.metric("weight_bits"), 32);
  summary.pruned = summary.ptq = {};
  summary.float_stage.validation_metric = std::nan("");
  outcome = outcome_of(summary, {});
  EXPECT_EQ(outcome.metric("accuracy"), 0.5);
  EXPECT_EQ(outcome.metric("parameters"), 400);
  for (const char* absent : {"qat_accuracy", "ptq_bytes", "crossbar_accuracy", "crossbar_deviation",
                             "validation_accuracy"}) {
    EXPECT_THAT(outcome.metrics, Not(Contains(Key(absent))));
    EXPECT_TRUE(std::isnan(outcome.metric(absent))) << absent;
  }
}

TEST(OutcomeMetrics, OfTheIntegerNetworkAreDeployed) {
  const pipeline::RunSummary summary = whole_run(task::classification());
  const std::vector<double> sums = {40, 10, 20, 30};  // by class and decision
  const Outcome outcome = outcome_of(summary, sums);
  EXPECT_DOUBLE_EQ(outcome.metric("accuracy"), 0.7);
  EXPECT_DOUBLE_EQ(outcome.metric("integer_accuracy"), 0.7);
  EXPECT_EQ(outcome.metric("qat_accuracy"), summary.qat.metric);
  EXPECT_NE(summary.qat.metric, 0.7);
  // F1 = 2 right / (decided + true).
  EXPECT_DOUBLE_EQ(outcome.metric("macro_f1"), (2 * 40 / 110.0 + 2 * 30 / 90.0) / 2);
  // Wilson's interval of 70 of 100: the roots of (p - 0.7)^2 = z^2 p (1 - p) / 100.
  const double z = 1.959963984540054;
  for (const char* end : {"accuracy_low", "accuracy_high"}) {
    const double p = outcome.metric(end);
    EXPECT_NEAR((p - 0.7) * (p - 0.7), z * z * p * (1 - p) / 100, 1e-12) << end;
  }
  EXPECT_LT(outcome.metric("accuracy_low"), 0.7);
  EXPECT_GT(outcome.metric("accuracy_high"), 0.7);
}

// Decisions on steps of one sequence are not independent.
TEST(OutcomeMetrics, OfStepsHaveNoInterval) {
  pipeline::RunSummary summary = whole_run(task::classification());
  summary.readout.scope = task::Scope::kStep;
  const Outcome outcome = outcome_of(summary, {});
  EXPECT_EQ(outcome.metric("accuracy"), summary.qat.metric);
  EXPECT_THAT(outcome.metrics, Not(Contains(Key("accuracy_low"))));
  EXPECT_THAT(outcome.metrics, Not(Contains(Key("accuracy_high"))));
}

TEST(OutcomeMetrics, OfTestsNeedTestSequences) {
  pipeline::RunSummary untested;
  untested.readout.task = &task::classification();
  untested.readout.names = {"a", "b"};
  untested.float_stage.done = true;
  untested.float_stage.validation_metric = 0.75;
  // Also of values that were set although nothing was tested.
  pipeline::RunSummary whole = whole_run(task::classification());
  whole.crossbar = {};
  whole.test_sequences = 0;
  for (const pipeline::RunSummary& summary : {untested, whole}) {
    for (const std::vector<double>& sums : {std::vector<double>(), std::vector<double>(4, 0)}) {
      const Outcome outcome = outcome_of(summary, sums);
      for (const char* name : {"accuracy", "accuracy_low", "accuracy_high", "float_accuracy",
                               "ptq_accuracy", "qat_accuracy", "integer_accuracy", "macro_f1"}) {
        EXPECT_TRUE(std::isnan(outcome.metric(name))) << name << " " << outcome.metric(name);
      }
      EXPECT_FALSE(std::isnan(outcome.metric("validation_accuracy")));
      EXPECT_FALSE(std::isnan(outcome.metric("bytes")));
      EXPECT_EQ(headline(outcome), "-");
    }
  }
}

TEST(OutcomeMetrics, AreFinite) {
  pipeline::RunSummary summary = whole_run(task::regression());
  summary.float_stage.metric = -std::numeric_limits<double>::infinity();
  summary.ptq.validation_metric = std::nan("");
  for (const auto& [name, value] : outcome_of(summary, {}).metrics) {
    EXPECT_TRUE(std::isfinite(value)) << name;
  }
}

TEST(OutcomeHeadline, IsThePrimaryMetricOfTheTask) {
  for (const task::Task* task : task::tasks()) {
    const pipeline::RunSummary summary = whole_run(*task);
    EXPECT_EQ(headline(outcome_of(summary, {})), task->primary().text(summary.qat.metric))
        << task->name();
  }
  Outcome outcome;
  outcome.metrics = {{"accuracy", 0.97312}, {"bytes", 100}};
  EXPECT_EQ(headline(outcome), "97.31 %");
  EXPECT_EQ(headline(failed_outcome("why")), "-");
}

}  // namespace
}  // namespace crosstate::search
