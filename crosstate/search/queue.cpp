#include "crosstate/search/queue.h"

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/search/crew.h"

// Protocol. A rank other than 0 sends {"idle": threads, "agreement": text} when it wants work and
// as a heartbeat, with "result" and its "task" when one is done (null: it was stopped), and with
// "leaving" when the rank was stopped. Rank 0 answers every message, so neither side has more than
// one message in flight: {"tasks": [[number, description], ...]}, with "bye" when there is no more
// work, "stop" when work must stop, "refused" with a reason. Rank 0 sends "bye" only when it knows
// of every other rank whether it lives; "lost" reports that not all do.
namespace crosstate::search {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPause{2};       // between two polls
constexpr milliseconds kShortPause{1};  // while an answer is expected soon
constexpr milliseconds kAskAgain{20};   // for a rank without work
constexpr milliseconds kSignOfLife{1000};

double seconds_since(Clock::time_point time) {
  return std::chrono::duration<double>(Clock::now() - time).count();
}

// A text that is not UTF-8, such as a file name, must not end a rank.
std::string text_of(const json& message) { return json_text(message); }

// The work of a rank other than 0 between two messages.
class Follower {
 public:
  Follower(Transport& transport, Crew& crew, const TeamOptions& options)
      : transport_(transport), crew_(crew), options_(options) {}

  // False when there is no more work.
  bool step(const Stop& stop) {
    for (Finished& done : crew_.wait(waiting_ ? kShortPause : kPause))
      finished_.push_back(std::move(done));
    if (!stopping_ && stop && stop()) cease();
    for (const Message& message : transport_.receive()) take(parse_json(message.text));
    if (released_) return false;
    if (!waiting_) {
      send_if_due();
    } else if (seconds_since(sent_) > 2 * options_.patience) {
      fail("rank 0", "no answer; continue with --resume");
    }
    return true;
  }
  bool stopped() const { return stopping_; }
  bool lost_a_rank() const { return lost_; }

 private:
  void cease() {
    stopping_ = true;
    crew_.stop();
  }

  void take(const json& reply) {
    waiting_ = false;
    if (reply.contains("refused")) fail("rank 0", reply.at("refused").get<std::string>());
    if (reply.contains("stop")) cease();
    if (reply.contains("lost")) lost_ = true;
    if (reply.contains("bye") || leaving_) released_ = true;
    for (const json& task : reply.at("tasks")) crew_.start(task.at(0), task.at(1));
  }

  void send_if_due() {
    const int idle = crew_.idle();
    leaving_ = stopping_ && idle == options_.workers && finished_.size() <= 1;
    const bool due = Clock::now() - sent_ > (idle > 0 ? kAskAgain : kSignOfLife);
    if (finished_.empty() && !leaving_ && !due) return;
    json message = {{"idle", stopping_ ? 0 : idle}, {"agreement", options_.agreement}};
    if (leaving_) message["leaving"] = true;
    if (!finished_.empty()) {
      const Finished& done = finished_.front();
      message["task"] = done.task;
      message["result"] = done.result ? *done.result : json();
      finished_.pop_front();
    }
    transport_.send(0, text_of(message));
    sent_ = Clock::now();
    waiting_ = true;
  }

  Transport& transport_;
  Crew& crew_;
  const TeamOptions& options_;
  std::deque<Finished> finished_;
  Clock::time_point sent_{};
  bool waiting_ = false;  // for an answer
  bool stopping_ = false, leaving_ = false, released_ = false, lost_ = false;
};

}  // namespace

struct Team::Inside {
  Inside(Work its_work, TeamOptions its_options, std::unique_ptr<Transport> its_transport)
      : work(std::move(its_work)),
        options(std::move(its_options)),
        transport(std::move(its_transport)) {}

  Work work;
  TeamOptions options;
  std::unique_ptr<Transport> transport;
  Crew crew{options.workers, work};

  // State of the other ranks, as known to rank 0.
  struct Peer {
    Clock::time_point heard = Clock::now();
    std::set<int> tasks;
    bool lost = false, dismissed = false, refused = false;
    bool present = false;  // has sent a message since there is no more work
  };
  std::map<int, Peer> peers;
  bool lost = false;

  void hand_out(TaskList& tasks) {
    while (crew.idle() > 0) {
      const std::optional<int> task = tasks.next();
      if (!task) return;
      crew.start(*task, tasks.describe(*task));
    }
  }

  // Accepts a result unless the task has been given to another rank in the meantime.
  void take_result(Peer& peer, const json& message, TaskList* tasks) {
    if (!message.contains("result")) return;
    const int task = message.at("task");
    if (peer.tasks.erase(task) == 0 || tasks == nullptr) return;
    if (message.at("result").is_null()) {
      tasks->give_back(task);
    } else {
      tasks->finish(task, message.at("result"));
    }
  }

  json answer(Peer& peer, const json& message, TaskList* tasks, bool stopping) {
    if (message.at("agreement") != options.agreement) {
      peer.refused = true;
      return {{"refused",
               "its points differ from those of rank 0: give every rank the same file, options and "
               "data"}};
    }
    json reply = {{"tasks", json::array()}};
    if (stopping) reply["stop"] = true;
    if (message.contains("leaving")) peer.dismissed = true;
    if (tasks == nullptr) {
      peer.present = true;
      if (all_known()) reply["bye"] = peer.dismissed = true;
    }
    if (lost) reply["lost"] = true;
    if (peer.dismissed || tasks == nullptr) return reply;
    for (int idle = message.at("idle"); idle > 0 && !stopping; --idle) {
      const std::optional<int> task = tasks->next();
      if (!task) break;
      peer.tasks.insert(*task);
      reply["tasks"].push_back({*task, tasks->describe(*task)});
    }
    return reply;
  }

  // Answers the messages that have arrived; without a list, releases every rank.
  void serve(TaskList* tasks, bool stopping) {
    if (!transport) return;
    for (const Message& message : transport->receive()) {
      Peer& peer = peers[message.from];
      peer.heard = Clock::now();
      peer.lost = false;
      const json content = parse_json(message.text);
      const json reply = answer(peer, content, tasks, stopping);
      // Before the result is recorded, which waits for the disk.
      transport->send(message.from, text_of(reply));
      if (!peer.refused) take_result(peer, content, tasks);
    }
    for (auto& [rank, peer] : peers) {
      if (peer.lost || peer.dismissed || seconds_since(peer.heard) < options.patience) continue;
      peer.lost = lost = true;
      if (tasks != nullptr) {
        for (const int task : peer.tasks) tasks->lose(task);
      }
      peer.tasks.clear();
    }
  }

  // Whether every other rank has sent a message since there is no more work, or never will.
  bool all_known() const {
    for (const auto& [rank, peer] : peers) {
      if (!peer.present && !peer.lost && !peer.dismissed && !peer.refused) return false;
    }
    return true;
  }
  bool all_released() const {
    for (const auto& [rank, peer] : peers) {
      if (!peer.lost && !peer.dismissed && !peer.refused) return false;
    }
    return true;
  }
  bool tasks_out() const {
    for (const auto& [rank, peer] : peers) {
      if (!peer.tasks.empty()) return true;
    }
    return crew.idle() < options.workers;
  }
};

Team::Team(Work work, TeamOptions options, std::unique_ptr<Transport> transport)
    : inside_(std::make_unique<Inside>(std::move(work), std::move(options), std::move(transport))) {
  if (!inside_->transport || inside_->transport->rank() != 0) return;
  for (int rank = 1; rank < inside_->transport->size(); ++rank) inside_->peers[rank];
}

Team::~Team() {
  try {
    dismiss();
  } catch (const std::exception&) {
    // They detect it by the missing answers.
  }
}

bool Team::leads() const { return !inside_->transport || inside_->transport->rank() == 0; }

bool Team::lost_a_rank() const { return inside_->lost; }

bool Team::run(TaskList& tasks, const Stop& stop) {
  bool stopping = false;
  for (;;) {
    if (!stopping && stop && stop()) {
      stopping = true;
      inside_->crew.stop();
    }
    if (stopping ? !inside_->tasks_out() : tasks.done()) return !stopping;
    if (!stopping) inside_->hand_out(tasks);
    inside_->serve(&tasks, stopping);
    // Without other ranks only Ctrl-C has to be polled.
    const milliseconds pause = inside_->peers.empty() ? milliseconds{50} : kPause;
    const std::vector<Finished> all = inside_->crew.wait(pause);
    // Before results are recorded, which waits for the disk.
    if (!all.empty() && !stopping) inside_->hand_out(tasks);
    for (const Finished& finished : all) {
      if (finished.result) {
        tasks.finish(finished.task, *finished.result);
      } else {
        tasks.give_back(finished.task);
      }
    }
  }
}

void Team::dismiss() {
  while (!inside_->all_released()) {
    inside_->serve(nullptr, false);
    std::this_thread::sleep_for(kPause);
  }
}

bool Team::follow(const Stop& stop) {
  Follower follower(*inside_->transport, inside_->crew, inside_->options);
  while (follower.step(stop)) continue;
  inside_->lost = follower.lost_a_rank();
  return !follower.stopped();
}

}  // namespace crosstate::search
