// The order of the steps, and executors that hide steps of others.
#include "crosstate/model/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace crosstate::model {
namespace {

using testing::ElementsAre;

// Values are the expressions that computed them.
struct Recorder {
  std::vector<std::string> written;
  std::string stream, time;

  void at(int t) { time = std::to_string(t); }
  std::string of(const std::string& name, std::size_t l) const {
    return name + std::to_string(l) + time;
  }
  std::string input() const { return "x" + time; }
  static std::string encode(const std::string& x) { return "encode(" + x + ")"; }
  void enter(const std::string& s) { written.push_back("h0" + time + " = " + s); }
  std::string select(std::size_t l) const { return of("h", l); }
  static std::string recur(std::size_t, const std::string& u) { return "recur(" + u + ")"; }
  static std::string activate(std::size_t, const std::string& y, const std::string& u) {
    return "activate(" + y + ", " + u + ")";
  }
  static std::string linear(std::size_t, const std::string& a) { return "linear(" + a + ")"; }
  static std::string normalize(std::size_t, const std::string& z) { return "norm(" + z + ")"; }
  static std::string gate(std::size_t, const std::string& v) { return "gate(" + v + ")"; }
  std::string add_residual(std::size_t l, const std::string& g) const {
    return g + " + " + of("h", l);
  }
  static std::string normalize_sum(std::size_t, const std::string& r) { return "norm(" + r + ")"; }
  void leave(std::size_t l, const std::string& n) { written.push_back(of("h", l + 1) + " = " + n); }
  void read() { written.push_back("read" + time); }
};

TEST(Walk, RunsTheStepsOfABlockInOrder) {
  Recorder e;
  walk_stretch(e, 1);
  EXPECT_THAT(e.written,
              ElementsAre("h0 = encode(x)",
                          "h1 = norm(gate(norm(linear(activate(recur(h0), h0)))) + h0)", "read"));
}

// Hides the steps that it does not use.
struct Folded : Recorder, FoldedNorms {
  using FoldedNorms::normalize;
  using FoldedNorms::normalize_sum;
};

TEST(Walk, PassesByFoldedNorms) {
  Folded e;
  walk_block(e, 0);
  EXPECT_THAT(e.written, ElementsAre("h1 = gate(linear(activate(recur(h0), h0))) + h0"));
}

TEST(Walk, StopsBeforeANormAndGoesOnFromThere) {
  Recorder whole, halves;
  walk_block(whole, 2);
  walk_from_norm(halves, 2, walk_to_norm(halves, 2));
  EXPECT_EQ(halves.written, whole.written);
}

// Writes only the residual streams.
struct ShortRecorder : Recorder {
  void leave(std::size_t l, const std::string&) { written.push_back(of("h", l + 1)); }
  void enter(const std::string&) { written.push_back("h0" + time); }
};

TEST(Walk, TakesStretchAfterStretchThroughAllLayers) {
  ShortRecorder e;
  walk_stretches(e, 2, std::vector<int>{7, 8});
  EXPECT_THAT(e.written, ElementsAre("h07", "h17", "h27", "read7", "h08", "h18", "h28", "read8"));
}

TEST(Walk, TakesLayerAfterLayerThroughAllStretches) {
  ShortRecorder e;
  walk_layers(e, 2, std::vector<int>{7, 8});
  EXPECT_THAT(e.written, ElementsAre("h07", "h08", "h17", "h18", "h27", "read7", "h28", "read8"));
}

TEST(Walk, GoesBackThroughTheStepsInReverse) {
  struct Adjoint {
    std::vector<std::string> steps;
    void recompute(std::size_t) { steps.push_back("recompute"); }
    void leave(std::size_t) { steps.push_back("leave"); }
    void normalize_sum(std::size_t) { steps.push_back("normalize_sum"); }
    int add_residual(std::size_t) { return note("add_residual", 0); }
    int gate(std::size_t, int g) { return note("gate", g); }
    int normalize(std::size_t, int g) { return note("normalize", g); }
    int linear(std::size_t, int g) { return note("linear", g); }
    int activate(std::size_t, int g) { return note("activate", g); }
    void recur(std::size_t, int g) { note("recur", g); }
    int note(const std::string& step, int g) {
      steps.push_back(step + " " + std::to_string(g));
      return g + 1;
    }
  } e;
  walk_back_from_norm(e, 0, walk_back_to_norm(e, 0));
  EXPECT_THAT(e.steps, ElementsAre("recompute", "leave", "normalize_sum", "add_residual 0",
                                   "gate 1", "normalize 2", "linear 3", "activate 4", "recur 5"));
}

}  // namespace
}  // namespace crosstate::model
