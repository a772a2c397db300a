#include "crosstate/inference/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"

namespace crosstate::inference {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

data::Dataset four_sequences() {
  data::Dataset set;
  set.name = "four";
  set.count = 4;
  set.length = 1;
  set.values.assign(4, 0);
  set.targets = {0, 1, 0, 1};
  set.readout.names = {"a", "b"};
  return set;
}

// Outputs whose largest are these classes.
Predictions decided(const std::vector<std::size_t>& classes) {
  Predictions predictions{2, {}, classes};
  for (const std::size_t k : classes) {
    predictions.values.insert(predictions.values.end(), {k == 0 ? 1.0f : 0.0f, k == 1 ? 1.0f : 0});
  }
  return predictions;
}

TEST(Compare, CountsWhatEitherModelHasRight) {
  const data::Dataset set = four_sequences();
  const task::PairedDecisions found =
      paired_decisions(decided({0, 1, 1, 0}), set, decided({0, 0, 0, 0}), set);
  const nlohmann::json result = to_json(found);
  EXPECT_EQ(result["both"], 1);
  EXPECT_EQ(result["only_first"], 1);
  EXPECT_EQ(result["only_second"], 1);
  EXPECT_EQ(result["neither"], 1);
  EXPECT_EQ(result["p_value"], 1);
}

TEST(Compare, RefusesWhatIsNotComparable) {
  const std::string name = "one", other_name = "other";
  const data::Dataset set = four_sequences();
  data::Dataset other = set;
  EXPECT_NO_THROW(require_comparable({name, set}, {other_name, other}, "compare"));
  other.targets[0] = 1;
  EXPECT_THAT(
      [&] {
        require_comparable({name, set}, {other_name, other}, "compare");
      },
      ThrowsMessage<Error>(HasSubstr("compare: has other test sequences than one")));
  other.readout.scope = task::Scope::kStep;
  EXPECT_THAT(
      [&] {
        require_comparable({other_name, other}, {name, set}, "compare");
      },
      ThrowsMessage<Error>(HasSubstr("other has a result for every step")));
  other.readout.task = &task::regression();
  other.readout.scope = task::Scope::kSequence;
  EXPECT_THAT(
      [&] {
        require_comparable({other_name, other}, {name, set}, "compare");
      },
      ThrowsMessage<Error>(HasSubstr("other has results of regression")));
}

}  // namespace
}  // namespace crosstate::inference
