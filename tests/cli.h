// Runs the program `crosstate` as a user does, each test in its own directory.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "crosstate/base/files.h"
#include "crosstate/data/testing.h"

namespace crosstate {

namespace fs = std::filesystem;

class Process {
 public:
  /// If `out` or `err` is not empty, that file or device replaces the one in `directory`; standard
  /// input is stdin.txt there, if it exists.
  Process(const fs::path& directory, std::vector<std::string> arguments,
          const std::string& out = "", const std::string& err = "")
      : out_(out.empty() ? directory / "stdout.txt" : fs::path(out)),
        err_(err.empty() ? directory / "stderr.txt" : fs::path(err)) {
    arguments.insert(arguments.begin(), CROSSTATE_PROGRAM);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    id_ = fork();
    if (id_ != 0) return;
    const int in = open((directory / "stdin.txt").c_str(), O_RDONLY);
    if (in >= 0) dup2(in, STDIN_FILENO);
    redirect(out_, STDOUT_FILENO);
    redirect(err_, STDERR_FILENO);
    execv(CROSSTATE_PROGRAM, argv.data());
    _exit(127);
  }

  pid_t id() const { return id_; }
  void send(int number) const { kill(id_, number); }

  /// Whether it has not ended.
  bool runs() const {
    siginfo_t ended = {};
    return waitid(P_PID, static_cast<id_t>(id_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0;
  }

  /// Waits until condition() holds. Returns false if the process, which may be slow, ends before.
  template <class Condition>
  bool wait_until(const Condition& condition) const {
    while (!condition()) {
      if (!runs()) return condition();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  bool wait_for_file(const fs::path& path) const {
    return wait_until([&] { return fs::exists(path); });
  }

  /// The exit code, or minus the signal that ended it.
  int wait() const {
    int status = 0;
    waitpid(id_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string out() const { return read_file(out_); }
  std::string err() const { return read_file(err_); }

 private:
  static void redirect(const fs::path& path, int to) {
    dup2(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, 0666), to);
  }
  fs::path out_, err_;
  pid_t id_;
};

/// 0 for a file that does not exist.
inline std::ptrdiff_t lines_of(const fs::path& path) {
  if (!fs::exists(path)) return 0;
  const std::string text = read_file(path);
  return std::count(text.begin(), text.end(), '\n');
}

struct Result {
  int code = 0;
  std::string out, err;
};

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(testing::TempDir()) /
                 ("cli-" + std::string(test->name()) + "-" + std::to_string(getpid()));
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  Result call(const std::vector<std::string>& arguments) const {
    const Process process(directory_, arguments);
    const int code = process.wait();
    return {code, process.out(), process.err()};
  }

  // A network and a set that are small enough for a test: about half a second of training. Without
  // settings that have no effect in the command or because of `more`.
  static std::vector<std::string> tiny(const std::string& command, const std::string& out,
                                       std::vector<std::string> more = {}) {
    const auto told = [&](const std::string& setting) {
      return std::any_of(more.begin(), more.end(),
                         [&](const std::string& text) { return text.starts_with(setting); });
    };
    const bool prunes = command == "prune", starts = told("run.start=");
    const bool rounds = prunes ? !told("prune.retrain=false") : !told("run.quantize=false");
    std::vector<std::string> arguments = {command, "--out", out};
    if (std::count(more.begin(), more.end(), "--threads") == 0) {
      arguments.insert(arguments.end(), {"--threads", "1"});
    }
    for (const char* setting :
         {"data.train_limit=160", "data.test_limit=64", "run.calibration=32", "model.channels=4",
          "model.states=4", "model.layers=1", "train.batch=32", "qat.batch=32", "train.epochs=3",
          "qat.epochs=3"}) {
      const std::string_view text = setting;
      if (prunes && !text.starts_with("data.") && !text.starts_with("qat.")) continue;
      if (starts && text.starts_with("train.")) continue;
      if (!rounds && (text.starts_with("qat.") || text.starts_with("run."))) continue;
      arguments.insert(arguments.end(), {"--set", setting});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Output on a terminal of this width on standard error; expects success.
  std::string call_on_terminal(const std::vector<std::string>& arguments, int columns) const {
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
      ADD_FAILURE() << "no pseudo-terminal";
      return "";
    }
    const winsize size = {.ws_row = 24,
                          .ws_col = static_cast<unsigned short>(columns),
                          .ws_xpixel = 0,
                          .ws_ypixel = 0};
    EXPECT_EQ(ioctl(terminal, TIOCSWINSZ, &size), 0);
    const Process process(directory_, arguments, "", ptsname(terminal));
    std::string shown;
    char bytes[4096];
    for (ssize_t got; (got = read(terminal, bytes, sizeof bytes)) > 0;) {
      shown.append(bytes, static_cast<std::size_t>(got));
    }
    EXPECT_EQ(process.wait(), 0) << shown;
    close(terminal);
    return shown;
  }

  void expect_refused(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& parts) const {
    const Result result = call(arguments);
    std::string line;
    for (const std::string& argument : arguments) line += argument + ' ';
    EXPECT_EQ(result.code, 2) << line << '\n' << result.err;
    EXPECT_EQ(result.out, "") << line;
    EXPECT_THAT(result.err, testing::StartsWith("crosstate: ")) << line;
    EXPECT_LE(std::count(result.err.begin(), result.err.end(), '\n'), 3) << result.err;
    for (const std::string& part : parts) EXPECT_THAT(result.err, testing::HasSubstr(part)) << line;
  }

  void write(const std::string& name, const std::string& bytes) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << bytes;
  }

  // A directory of 48 recordings by two speakers, a third of each class.
  void write_tones(const std::string& name) const {
    const data::Recordings set = data::reference::tone_set(48, 1);
    for (std::size_t i = 0; i < set.items.size(); ++i) {
      const data::Recording& item = set.items[i];
      data::reference::write_sound(directory_ / name /
                                       (set.classes[static_cast<std::size_t>(item.label)] + '_' +
                                        item.speaker + '_' + std::to_string(i / 6) + ".wav"),
                                   item.samples);
    }
  }

  // A directory with the MNIST files of two 4 x 4 images, one of which a test damages.
  std::string make_data(const std::string& name, const std::string& damaged = "",
                        const std::string& bytes = "") const {
    const auto header = [](char kind, std::vector<int> sizes) {
      std::string text{'\0', '\0', '\x08', kind};
      for (const int size : sizes) text += std::string{'\0', '\0', '\0', static_cast<char>(size)};
      return text;
    };
    for (const std::string part : {"train", "t10k"}) {
      write(name + "/" + part + "-images-idx3-ubyte", header(3, {2, 4, 4}) + std::string(32, 'x'));
      write(name + "/" + part + "-labels-idx1-ubyte", header(1, {2}) + std::string{'\0', '\1'});
    }
    if (!damaged.empty()) write(name + "/" + damaged, bytes);
    return path(name);
  }

  fs::path directory_;
};

}  // namespace crosstate
