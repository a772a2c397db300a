#include "crosstate/search/execute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/pipeline/testing.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// One point, together with its float network.
class Execute : public DirectoryTest {
 protected:
  Execute() {
    pipeline::RunOptions options = pipeline::small_run();
    options.train.epochs = 3;
    options.quantize = false;
    add_point(plan_, options, {"run.seed"}, "test");
    context_.directory = directory_;
    context_.note = [this](const std::string& what) { warnings_.push_back(what); };
    context_.stop = [] { return false; };
  }

  const SweepParent& parent() const { return plan_.parents.front(); }
  fs::path file(const std::string& name) const {
    return parent_directory(directory_, parent()) / name;
  }
  fs::path checkpoint() const { return file("float.checkpoint.safetensors"); }
  // Trains until an epoch is saved.
  void begin() {
    ExecuteContext part = context_;
    part.stop = [this] { return fs::exists(checkpoint()); };
    EXPECT_FALSE(train_parent(parent(), part));
  }
  std::size_t epochs() const {
    const std::string log = read_file(file("float.jsonl"));
    return static_cast<std::size_t>(std::count(log.begin(), log.end(), '\n'));
  }

  SweepPlan plan_;
  ExecuteContext context_;
  std::vector<std::string> warnings_;
};

TEST_F(Execute, GoesOnAtTheLastEpoch) {
  begin();
  const std::string first = read_file(file("float.jsonl"));
  EXPECT_EQ(train_parent(parent(), context_)->status, PointStatus::kDone);
  // Work that took this many seconds the first time was not repeated.
  EXPECT_THAT(read_file(file("float.jsonl")), testing::StartsWith(first));
  EXPECT_TRUE(is_trained(directory_, parent()));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(Execute, KeepsWhatIsThereWhateverElseGoesWrong) {
  begin();
  const std::string before = read_file(checkpoint());
  const auto expect_failed = [&](const SweepParent& of, const std::string& part) {
    const std::optional<Outcome> outcome = train_parent(of, context_);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, PointStatus::kFailed);
    EXPECT_THAT(outcome->error, HasSubstr(part));
    EXPECT_THAT(warnings_, IsEmpty());
  };
  // The data cannot be read.
  SweepParent absent = parent();
  absent.options.data.directory = (directory_ / "absent").string();
  expect_failed(absent, "absent");
  EXPECT_EQ(read_file(checkpoint()), before);
  // A file cannot be written.
  fs::create_directories(file("float.safetensors"));
  expect_failed(parent(), "float.safetensors");
  EXPECT_EQ(read_file(checkpoint()), before);
  fs::remove(file("float.safetensors"));
  EXPECT_EQ(train_parent(parent(), context_)->status, PointStatus::kDone);
  EXPECT_EQ(epochs(), 3u);
}

TEST_F(Execute, StartsAnewAndSaysSoWhereACheckpointIsDamagedOrOfAnotherRun) {
  begin();
  write_file(checkpoint(), read_file(checkpoint()).substr(0, 500));
  EXPECT_EQ(train_parent(parent(), context_)->status, PointStatus::kDone);
  EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("float " + parent().name + " starts over"),
                                           HasSubstr("float.checkpoint.safetensors"))));
  SweepParent other = parent();
  other.options.seed = 2;
  warnings_.clear();
  EXPECT_EQ(train_parent(other, context_)->status, PointStatus::kDone);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("seed was 1 and is now 2")));
}

TEST_F(Execute, FailsWithTextThatAnyRankCanSend) {
  SweepParent absent = parent();
  std::string name = "x";
  for (int i = 0; i < 300; ++i) name += "\xc3\xa4";  // the limit falls inside a character
  for (const std::string& directory : {name, "x" + name,
                                       std::string("gr\xfc\xdf"
                                                   "e")}) {
    absent.options.data.directory = directory;
    const std::optional<Outcome> outcome = train_parent(absent, context_);
    EXPECT_EQ(outcome->status, PointStatus::kFailed);
    EXPECT_NO_THROW(exact_json_text(to_json(*outcome))) << directory;
  }
}

}  // namespace
}  // namespace crosstate::search
