#include "crosstate/search/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <limits>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/testing.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;
using testing::UnorderedElementsAre;

bool not_stopped() { return false; }

// Measures the length of a text; keeps the texts.
class Measuring : public DirectoryTest {
 protected:
  Work work() {
    return [this](const json& task, const Stop&) -> std::optional<json> {
      EXPECT_EQ(task.size(), 1u);
      const std::string text = task.at("text");
      const std::lock_guard lock(mutex_);
      measured_.push_back(text);
      return json{{"length", text.size()}, {"third", static_cast<double>(text.size()) / 3}};
    };
  }
  // The texts that were measured since the last call.
  std::vector<std::string> measured() { return std::exchange(measured_, {}); }

 private:
  std::mutex mutex_;
  std::vector<std::string> measured_;
};

TEST_F(Measuring, MeasuresEachTextOnce) {
  Store store(directory_);
  Team team(work(), {.workers = 2});
  const Measurements all("text", "scope", team, store, not_stopped);
  const std::vector<std::string> texts = {"a", "bbb", "a", "", "bbb"};
  EXPECT_EQ(all.missing(texts), 3u);
  EXPECT_TRUE(all.measure(texts));
  EXPECT_THAT(measured(), UnorderedElementsAre("a", "bbb", ""));
  EXPECT_EQ(all.missing(texts), 0u);
  EXPECT_TRUE(all.measure(texts));
  EXPECT_TRUE(all.measure({}));
  EXPECT_THAT(measured(), IsEmpty());
  EXPECT_EQ(all.of("bbb").at("length"), 3);
  EXPECT_EQ(all.of("a").at("third"), 1.0 / 3);
  EXPECT_TRUE(all.measure({"a", "cc"}));
  EXPECT_THAT(measured(), ElementsAre("cc"));
}

TEST_F(Measuring, FindsWhatEarlierSessionsStoredInTheSameScope) {
  {
    Store store(directory_);
    Team team(work(), {});
    EXPECT_TRUE(Measurements("text", "one", team, store, not_stopped).measure({"a", "bb"}));
  }
  measured();
  Store store(directory_);
  Team team(work(), {});
  const Measurements same("text", "one", team, store, not_stopped),
      other("text", "two", team, store, not_stopped);
  EXPECT_EQ(same.missing({"a", "bb", "c"}), 1u);
  EXPECT_EQ(other.missing({"a", "bb", "c"}), 3u);
  EXPECT_EQ(same.of("bb").at("length"), 2);
  EXPECT_THROW(other.of("bb"), std::bad_optional_access);
  EXPECT_TRUE(other.measure({"bb"}));
  EXPECT_THAT(measured(), ElementsAre("bb"));
}

// A damaged file is an error in the input, with the place of the damage.
TEST_F(Measuring, NamesADamagedRow) {
  Store store(directory_);
  Team team(work(), {});
  const Measurements all("text", "scope", team, store, not_stopped);
  store.record_proxy("scope", "broken", "{\"length\": ");
  store.record_proxy("scope", "other", "[1, null]");
  store.record_proxy("scope", "good", "7");
  const auto number = [](const json& value) {
    if (!value.is_number()) fail("number", "expected one");
    return value.get<int>();
  };
  const auto place = [&](const std::string& text) {
    return (directory_ / "sweep.sqlite").string() + ": table proxies, scope \"scope\", genome \"" +
           text + "\": ";
  };
  EXPECT_THAT([&] { all.of("broken"); },
              ThrowsMessage<Error>(place("broken") + "expected JSON, found \"{\"length\": \""));
  EXPECT_THAT([&] { all.of("broken", number); },
              ThrowsMessage<Error>(HasSubstr(place("broken") + "expected JSON")));
  EXPECT_THAT([&] { all.of("other", number); },
              ThrowsMessage<Error>(place("other") + "number: expected one"));
  EXPECT_EQ(all.of("good", number), 7);
  EXPECT_EQ(all.of("other"), json({1, nullptr}));
}

TEST_F(Measuring, KeepsWhatWasMeasuredBeforeAStop) {
  Store store(directory_);
  std::atomic<bool> stop = false;
  // The third text is not measured before the stop.
  const Work slow = [&](const json& task, const Stop& stopped) -> std::optional<json> {
    if (task.at("text") != "third") return json(1);
    stop = true;
    while (!stopped()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return std::nullopt;
  };
  Team team(slow, {.workers = 1});
  const Measurements all("text", "scope", team, store, [&] { return stop.load(); });
  const std::vector<std::string> texts = {"first", "second", "third", "fourth"};
  EXPECT_FALSE(all.measure(texts));
  EXPECT_EQ(all.missing(texts), 2u);
  EXPECT_EQ(all.missing({"first", "second"}), 0u);
}

// Two ranks of one process: messages of one are the inbox of the other.
struct Wire {
  std::mutex mutex;
  std::vector<Message> inbox[2];
};
class WireEnd : public Transport {
 public:
  WireEnd(Wire& wire, int rank) : wire_(wire), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return 2; }
  void send(int to, const std::string& text) override {
    const std::lock_guard lock(wire_.mutex);
    wire_.inbox[to].push_back({rank_, text});
  }
  std::vector<Message> receive() override {
    const std::lock_guard lock(wire_.mutex);
    return std::exchange(wire_.inbox[rank_], {});
  }

 private:
  Wire& wire_;
  int rank_;
};

class Session : public Measuring {
 protected:
  Session() { context_.directory = place_.directory; }

  SessionEnd run(const std::function<bool(Store&)>& lead) {
    Team team(work(), {});
    return run_session(team, place_, context_, lead);
  }
  bool has(const std::string& name) const { return fs::exists(place_.directory / name); }

  SessionPlace place_{directory_ / "out", "search", {}};
  SearchContext context_;
};

TEST_F(Session, OpensItsDirectoryBeforeItLeads) {
  std::vector<std::string> steps;
  context_.opened = [&](const pipeline::OutputDirectory& output) {
    EXPECT_EQ(output.path(), place_.directory);
    steps.push_back("opened");
  };
  const SessionEnd end = run([&](Store& store) {
    steps.push_back("leads");
    store.record_proxy("scope", "text", "1");
    EXPECT_TRUE(has("sweep.sqlite"));
    return true;
  });
  EXPECT_THAT(steps, ElementsAre("opened", "leads"));
  EXPECT_TRUE(end.leads);
  EXPECT_FALSE(end.interrupted);
  EXPECT_FALSE(end.lost_a_rank);
  EXPECT_THAT(read_file(place_.directory / "crosstate.json"), HasSubstr("search"));
}

TEST_F(Session, TellsThatItWasStopped) {
  EXPECT_TRUE(run([](Store&) { return false; }).interrupted);
}

TEST_F(Session, RefusesContinuesOrReplacesEarlierResults) {
  run([](Store& store) {
    store.record_proxy("scope", "text", "1");
    return true;
  });
  const auto never = [](Store&) -> bool { throw Error("leads"); };
  EXPECT_THAT([&] { run(never); }, ThrowsMessage<Error>(HasSubstr(place_.directory.string())));
  context_.earlier = pipeline::Earlier::kContinue;
  run([](Store& store) {
    EXPECT_EQ(store.proxy("scope", "text"), "1");
    return true;
  });
  context_.earlier = pipeline::Earlier::kReplace;
  run([](Store& store) {
    EXPECT_EQ(store.proxy("scope", "text"), std::nullopt);
    return true;
  });
}

TEST_F(Session, NeverRemovesItsInputs) {
  run([&](Store&) {
    write_file(place_.directory / "results.csv", "a\n");
    write_file(place_.directory / "front.csv", "b\n");
    return true;
  });
  place_.inputs = {place_.directory / "front.csv"};
  context_.earlier = pipeline::Earlier::kReplace;
  run([&](Store&) {
    EXPECT_FALSE(has("results.csv"));
    EXPECT_TRUE(has("front.csv"));
    return true;
  });
}

TEST_F(Session, OtherRanksWorkUntilTheyAreReleased) {
  Wire wire;
  SessionEnd of_other;
  std::atomic<int> done_by_other = 0;
  std::thread other([&] {
    const Work counted = [&](const json& task, const Stop&) -> std::optional<json> {
      ++done_by_other;
      return task;
    };
    Team team(counted, {.agreement = "x"}, std::make_unique<WireEnd>(wire, 1));
    SearchContext context;
    context.stop = not_stopped;
    of_other = run_session(team, {directory_ / "other", "search", {}}, context, [](Store&) {
      ADD_FAILURE() << "leads";
      return true;
    });
  });
  // The leading rank works only on what the other one has not taken.
  const Work wait_for_other = [&](const json& task, const Stop&) -> std::optional<json> {
    for (int i = 0; i < 20000 && done_by_other == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return task;
  };
  Team team(wait_for_other, {.agreement = "x"}, std::make_unique<WireEnd>(wire, 0));
  const SessionEnd end = run_session(team, place_, context_, [&](Store& store) {
    const Measurements all("text", "scope", team, store, not_stopped);
    const std::vector<std::string> texts = {"a", "b", "c", "d", "e", "f"};
    EXPECT_TRUE(all.measure(texts));
    for (const std::string& text : texts) EXPECT_EQ(all.of(text), json({{"text", text}}));
    return true;
  });
  other.join();
  EXPECT_TRUE(end.leads);
  EXPECT_FALSE(end.lost_a_rank);
  EXPECT_FALSE(of_other.leads);
  EXPECT_FALSE(of_other.interrupted);
  EXPECT_GT(done_by_other, 0);
  EXPECT_FALSE(fs::exists(directory_ / "other"));  // only the leading rank writes
}

TEST(Evolved, IsNsga2WithItsGenerationsNamed) {
  const std::vector<int> choices(4, 7);
  const auto judge = [](std::vector<Individual>& all) {
    for (Individual& one : all) {
      one.costs = {static_cast<double>(one.genes[0] + one.genes[1]),
                   static_cast<double>(20 - one.genes[0] - one.genes[2])};
    }
    return true;
  };
  const std::vector<Genes> first = {{6, 6, 6, 6}};
  EvolutionOptions options;
  options.population = 8;
  options.generations = 3;
  std::vector<std::string> said;
  const auto say = [&](const std::string& what) { said.push_back(what); };
  const std::vector<Individual> found = evolved(choices, options, 5, first, say, judge);
  const std::vector<Individual> expected =
      nsga2(choices, {.population = 8, .generations = 3, .seed = 5}, first, judge);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].genes, expected[i].genes);
    EXPECT_EQ(found[i].costs, expected[i].costs);
  }
  EXPECT_THAT(said, ElementsAre("generation 0 of 3", "generation 1 of 3", "generation 2 of 3",
                                "generation 3 of 3"));
  said.clear();
  EXPECT_THAT(evolved(choices, options, 5, first, say, [&](auto&) { return said.size() < 2; }),
              IsEmpty());
  EXPECT_THAT(said, ElementsAre("generation 0 of 3", "generation 1 of 3"));
  EXPECT_EQ(evolved(choices, options, 5, first, nullptr, judge).size(), expected.size());
}

TEST(EvolutionFields, AreThoseOfTheSectionAndWithinTheirRanges) {
  EvolutionOptions options;
  FieldList list;
  list.section("search");
  fields(list, options);
  for (const char* assignment : {"search.population=4", "search.generations=0",
                                 "search.sequences=0", "search.threads=3", "search.patience=2.5"}) {
    list.set(assignment);
  }
  EXPECT_EQ(options.population, 4);
  EXPECT_EQ(options.generations, 0);
  EXPECT_EQ(options.sequences, 0);
  EXPECT_EQ(options.threads, 3);
  EXPECT_EQ(options.patience, 2.5);
  const auto expect_refused = [&](const std::string& key, const std::string& value,
                                  const std::string& allowed) {
    EXPECT_THAT([&] { list.set(key + "=" + value); },
                ThrowsMessage<Error>(AllOf(HasSubstr(key), HasSubstr(value), HasSubstr(allowed))));
  };
  expect_refused("search.population", "3", "4 to 10000");
  expect_refused("search.generations", "-1", "0 to ");
  expect_refused("search.sequences", "-1", "0 to ");
  expect_refused("search.threads", "0", "1 to 1024");
  expect_refused("search.patience", "1", "2 to 3600");
  EXPECT_EQ(options.population, 4);
}

}  // namespace
}  // namespace crosstate::search
