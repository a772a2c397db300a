// Small runs for tests.
#pragma once

#include "crosstate/base/testing.h"
#include "crosstate/pipeline/run.h"

namespace crosstate::pipeline {

/// Two short epochs of a network with one layer on 160 digits, tested on 64: one batch.
inline RunOptions small_run() {
  RunOptions options;
  options.data.train_limit = 160;
  options.data.test_limit = 64;
  options.calibration = 32;
  options.model.channels = options.model.states = 4;
  options.model.layers = 1;
  options.train.epochs = options.qat.epochs = 2;
  options.train.batch = options.qat.batch = 32;
  return options;
}

/// Runs on one thread in directories below that of the test.
class RunDirectoryTest : public DirectoryTest {
 protected:
  /// Context of the directory `name`; never stopped.
  RunContext context(const std::string& name, bool resume = false) {
    RunContext result;
    result.directory = directory_ / name;
    result.resume = resume;
    result.pool = &pool_;
    result.stop = [] { return false; };
    return result;
  }

  ThreadPool pool_{1};
  RunOptions options_ = small_run();
};

}  // namespace crosstate::pipeline
