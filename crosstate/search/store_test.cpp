#include "crosstate/search/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/identity.h"
#include "crosstate/base/json.h"
#include "crosstate/base/testing.h"
#include "crosstate/search/results.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

class StoreTest : public DirectoryTest {
 protected:
  static SweepPoint point(const std::string& name, int layers = 2) {
    SweepPoint made;
    made.name = name;
    made.options.model.layers = layers;
    made.config = exact_json_text(run_config(made.options));
    return made;
  }
  static Outcome outcome(double accuracy, double seconds) {
    Outcome made;
    made.status = PointStatus::kDone;
    made.metrics = {{"accuracy", accuracy}, {"bytes", 123}};
    made.seconds = seconds;
    return made;
  }
  static void execute(const std::string& path, const char* statement) {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, statement, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  }
};

TEST_F(StoreTest, BelongsToWhatDeterminesItsMeasurements) {
  {
    Store store(directory_);
    store.require_identity({{"seed", 1}, {"data", {{"count", 3}}}});
    store.record_proxy("chips", "a", "[0.5]");
  }
  Store store(directory_);
  store.require_identity({{"data", {{"count", 3}}}, {"seed", 1}});
  EXPECT_EQ(store.proxy("chips", "a"), "[0.5]");
  EXPECT_EQ(store.proxy("cost", "a"), std::nullopt);
  EXPECT_THAT(
      [&] {
        store.require_identity({{"seed", 2}, {"data", {{"count", 3}}}});
      },
      testing::ThrowsMessage<Error>(
          testing::AllOf(HasSubstr("sweep.sqlite"), HasSubstr("seed was 1"))));
}

TEST_F(StoreTest, KeepsWhatWasRecorded) {
  const double accuracy = 0.1 + 0.2;  // must be stored bit for bit
  {
    Store store(directory_);
    store.add({point("a"), point("b"), point("c, \"d\"")});
    store.record("b", outcome(accuracy, 3));
    store.record("c, \"d\"", failed_outcome("it's \"bad\", really"));
    store.record_time("float x", 7);
  }
  const Store store(directory_);
  const std::vector<StoredPoint> points = store.points();
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].outcome.status, PointStatus::kPending);
  EXPECT_EQ(points[1].outcome.metric("accuracy"), accuracy);
  EXPECT_TRUE(std::isnan(points[1].outcome.metric("ptq_accuracy")));
  EXPECT_EQ(points[1].outcome.seconds, 3);
  EXPECT_EQ(points[2].outcome.error, "it's \"bad\", really");
  EXPECT_EQ(store.time_of("float x"), 7);
  EXPECT_EQ(store.time_of("float y"), std::nullopt);
  EXPECT_THAT(dump_csv(store),
              HasSubstr("\n\"c, \"\"d\"\"\",failed,\"it's \"\"bad\"\", really\","));
}

TEST_F(StoreTest, DumpsTheSameWhateverTheOrderAndTimes) {
  const fs::path other = directory_ / "other";
  fs::create_directories(other);
  Store first(directory_), second(other);
  first.add({point("a"), point("b")});
  second.add({point("b")});
  second.add({point("b"), point("a")});
  first.record("a", outcome(0.5, 1));
  first.record("b", outcome(0.25, 2));
  second.record("b", outcome(0.25, 30));
  second.record("a", outcome(0.5, 40));
  EXPECT_EQ(dump_csv(first), dump_csv(second));
  second.record("a", outcome(0.75, 40));
  EXPECT_NE(dump_csv(first), dump_csv(second));
}

TEST_F(StoreTest, RefusesAPointWithAnotherConfiguration) {
  Store store(directory_);
  store.add({point("a")});
  store.add({point("a")});
  try {
    store.add({point("new"), point("a", 3)});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("layers"));
  }
  EXPECT_EQ(store.points().size(), 1u);  // all or nothing
}

TEST_F(StoreTest, CanBeReadBesideItsWriter) {
  const Store store(directory_);
  EXPECT_TRUE(Store(directory_, Store::Access::kRead).points().empty());
}

TEST_F(StoreTest, RefusesOtherFiles) {
  EXPECT_FALSE(Store::exists(directory_));
  EXPECT_THROW(Store(directory_, Store::Access::kRead), Error);
  write_file(directory_ / "sweep.sqlite",
             "this is no database, although it is long enough for one "
             "page header of a hundred bytes or somewhat more");
  EXPECT_TRUE(Store::exists(directory_));
  EXPECT_THROW(Store store(directory_), Error);
}

TEST_F(StoreTest, NamesADamagedRow) {
  const std::string path = (directory_ / "sweep.sqlite").string();
  {
    Store store(directory_);
    store.add({point("a")});
    store.require_identity({{"seed", 1}});
  }
  execute(path,
          "UPDATE points SET config = '{'; UPDATE meta SET value = 'x' WHERE key = 'identity'");
  Store store(directory_);
  EXPECT_THAT([&] { dump_csv(store); },
              ThrowsMessage<Error>(HasSubstr(path + ": table points, config of a: expected")));
  EXPECT_THAT(
      [&] { store.add({point("a")}); },
      ThrowsMessage<CannotContinue>(path + ": table points, config of a: expected a JSON object, "
                                           "found \"{\""));
  EXPECT_THAT(
      [&] {
        store.require_identity({{"seed", 1}});
      },
      ThrowsMessage<CannotContinue>(path +
                                    ": table meta, identity: expected a JSON object, found \"x\""));
  EXPECT_EQ(store.points().size(), 1u);
}

TEST_F(StoreTest, LeavesDatabasesOfNewerVersionsAsTheyAre) {
  const std::string path = (directory_ / "sweep.sqlite").string();
  { Store(directory_).add({point("a")}); }
  execute(path, "DELETE FROM meta WHERE key = 'format'");  // counts as version 1
  EXPECT_EQ(Store(directory_, Store::Access::kRead).points().size(), 1u);
  EXPECT_EQ(Store(directory_).points().size(), 1u);
  execute(path, "UPDATE meta SET value = '2' WHERE key = 'format'; DROP TABLE proxies");
  const std::string before = read_file(path);
  for (const Store::Access access : {Store::Access::kRead, Store::Access::kWrite}) {
    EXPECT_THAT([&] { Store(directory_, access); },
                ThrowsMessage<Error>(HasSubstr("sweep.sqlite: format 'crosstate sweep 2', expected "
                                               "'crosstate sweep 1': it was written by a newer")));
  }
  EXPECT_EQ(read_file(path), before);
}

TEST_F(StoreTest, RemembersCandidates) {
  Store store(directory_);
  EXPECT_EQ(store.proxy("s", "g"), std::nullopt);
  store.record_proxy("s", "g", "{}");
  store.record_proxy("s", "g", "[1]");
  EXPECT_EQ(store.proxy("s", "g"), "[1]");
  EXPECT_EQ(store.proxy("t", "g"), std::nullopt);
}

}  // namespace
}  // namespace crosstate::search
