#include "crosstate/hardware/external.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "crosstate/base/descriptor.h"
#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

extern char** environ;

namespace crosstate::hardware {
namespace {

using Clock = std::chrono::steady_clock;

// A time limit, starting at construction.
class Deadline {
 public:
  explicit Deadline(double seconds)
      : end_(Clock::now() + std::chrono::milliseconds(static_cast<std::int64_t>(
                                std::ceil(1e3 * std::min(seconds, 1e9))))) {}
  bool over() const { return Clock::now() >= end_; }
  /// Milliseconds for poll(), rounded up.
  int left() const {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 1'000'000));
  }

 private:
  Clock::time_point end_;
};

// Writing to a pipe without a reader must not end the process, however SIGPIPE is handled
// elsewhere.
class WithoutBrokenPipes {
 public:
  WithoutBrokenPipes() {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutBrokenPipes() {
    const timespec at_once = {};
    if (!was_pending_) {
      while (sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutBrokenPipes(const WithoutBrokenPipes&) = delete;
  WithoutBrokenPipes& operator=(const WithoutBrokenPipes&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_;
};

// Moves a pipe end above the standard streams, which become those of the driver; started programs
// do not inherit it.
Descriptor above_standard_streams(int number) {
  const Descriptor before(number);
  return Descriptor(fcntl(number, F_DUPFD_CLOEXEC, 3));
}

struct Pipe {
  Descriptor read, write;
};

Pipe make_pipe(const std::string& where) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(where, std::string("no pipe: ") + std::strerror(errno));
  Pipe pipe{above_standard_streams(ends[0]), above_standard_streams(ends[1])};
  if (!pipe.read.is_open() || !pipe.write.is_open()) {
    fail(where, std::string("no pipe: ") + std::strerror(errno));
  }
  return pipe;
}

std::string in_words(const siginfo_t& end) {
  if (end.si_code == CLD_EXITED) {
    return "the driver ended with status " + std::to_string(end.si_status);
  }
  return "the driver was ended by signal " + std::to_string(end.si_status) + " (" +
         strsignal(end.si_status) + ")";
}

}  // namespace

// The driver process, and its input and output.
class ExternalChip::Driver {
 public:
  Driver(const std::string& command, const std::string& where) {
    Pipe to = make_pipe(where), from = make_pipe(where);
    posix_spawn_file_actions_t streams;
    posix_spawn_file_actions_init(&streams);
    posix_spawn_file_actions_adddup2(&streams, to.read.number(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&streams, from.write.number(), STDOUT_FILENO);
    // A process group of its own: Ctrl-C does not interrupt its current work, and the whole group
    // can be killed.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    std::string shell = "sh", option = "-c", line = command;
    char* const arguments[] = {shell.data(), option.data(), line.data(), nullptr};
    const int error = posix_spawn(&id_, "/bin/sh", &streams, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&streams);
    if (error != 0) fail(where, std::string("cannot be started: ") + std::strerror(error));
    in_ = std::move(to.write);
    out_ = std::move(from.read);
    fcntl(in_.number(), F_SETFL, O_NONBLOCK);
    fcntl(out_.number(), F_SETFL, O_NONBLOCK);
  }
  ~Driver() { kill(); }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// Sends and receives concurrently, so that neither side blocks on a full pipe.
  void exchange(std::string_view request, ReplyReader& reply, double seconds,
                const std::string& where) {
    const WithoutBrokenPipes guard;
    const Deadline deadline(seconds);
    refuse_rest(where);
    bool refused = false;  // the rest of the request was not accepted
    while (!request.empty() || !reply.complete()) {
      if (deadline.over()) {
        fail(where, "no complete reply within " + rounded_text(seconds, 6) +
                        " s (external.timeout); received: " + reply.progress());
      }
      pollfd ends[2] = {{out_.number(), POLLIN, 0},
                        {request.empty() ? -1 : in_.number(), POLLOUT, 0}};
      if (poll(ends, 2, deadline.left()) < 0 && errno != EINTR) {
        fail(where, std::string("cannot wait: ") + std::strerror(errno));
      }
      if (ends[0].revents != 0) receive(reply, where);
      if (ends[1].revents != 0 && !send(request)) {
        // The last output may not have arrived yet.
        refused = true;
        request = {};
      }
    }
    if (refused) fail(where, "the driver closed its input before it had read the whole request");
  }

  /// Waits for the process to end, when its output has been read: the exit information if it has
  /// ended. It is not reaped, so that the id of its group is not reused.
  std::optional<siginfo_t> ends(double seconds) {
    in_.close();
    const Deadline deadline(seconds);
    for (;;) {
      siginfo_t end = {};
      if (waitid(P_PID, static_cast<id_t>(id_), &end, WEXITED | WNOHANG | WNOWAIT) != 0) return {};
      if (end.si_pid == id_) return end;
      if (deadline.over()) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  /// Kills the process and all processes that it started.
  void kill() {
    in_.close();
    out_.close();
    if (id_ < 0) return;
    ::kill(-id_, SIGKILL);
    while (waitpid(id_, nullptr, 0) < 0 && errno == EINTR) {
    }
    id_ = -1;
  }

 private:
  // Output that arrived before the request does not belong to the next reply.
  void refuse_rest(const std::string& where) {
    char bytes[128];
    const ssize_t n = read(out_.number(), bytes, sizeof bytes);
    if (n > 0) {
      fail(where, "received \"" + excerpt(std::string_view(bytes, static_cast<std::size_t>(n))) +
                      "\" without a request");
    }
  }

  void receive(ReplyReader& reply, const std::string& where) {
    char bytes[1 << 16];
    const ssize_t n = read(out_.number(), bytes, sizeof bytes);
    if (n > 0) {
      reply.take({bytes, static_cast<std::size_t>(n)});
    } else if (n == 0) {
      const std::optional<siginfo_t> end = ends(1);
      fail(where, (end ? in_words(*end) : std::string("the driver closed its output")) +
                      "; received: " + reply.progress());
    } else if (errno != EAGAIN && errno != EINTR) {
      fail(where, std::string("cannot be read: ") + std::strerror(errno));
    }
  }

  // False if there is no reader.
  bool send(std::string_view& request) {
    const ssize_t n = write(in_.number(), request.data(), request.size());
    if (n >= 0) {
      request.remove_prefix(static_cast<std::size_t>(n));
      return true;
    }
    return errno == EAGAIN || errno == EINTR;
  }

  pid_t id_ = -1;        // id of the process and of its group; -1: reaped
  Descriptor in_, out_;  // its standard input and output
};

ExternalChip::ExternalChip(const ExternalOptions& options, std::size_t arrays, std::size_t rows,
                           std::size_t bit_lines)
    : options_(options), bit_lines_(bit_lines) {
  const std::string place = where("hello");
  driver_ = std::make_unique<Driver>(options_.command, place);
  exchange(hello_request(arrays, rows, bit_lines), ReplyReader(place, kHelloReply),
           options_.timeout);
}

ExternalChip::~ExternalChip() {
  if (!failure_.empty()) return;
  const std::string place = where("quit");
  try {
    exchange(quit_request(), ReplyReader(place, kReply), options_.timeout);
    driver_->ends(options_.timeout);
  } catch (const Error&) {
    // The reply is complete.
  }
}

void ExternalChip::program(std::size_t array, std::span<const double> conductances) {
  exchange(program_request(array, bit_lines_, conductances),
           ReplyReader(where("program array " + std::to_string(array)), kReply), options_.timeout);
}

void ExternalChip::age_to(double seconds) {
  const std::string request = age_request(seconds);
  const std::string place = where(request.substr(0, request.size() - 1) + " s");
  if (!(seconds >= age_)) fail(place, "before the present age");
  exchange(request, ReplyReader(place, kReply), options_.timeout + (seconds - age_));
  age_ = seconds;
}

void ExternalChip::multiply(std::size_t array, BitLines lines, std::size_t count,
                            std::span<const double> voltages, std::span<double> currents) {
  const std::string request =
      "multiply " + std::to_string(count) + " vectors by array " + std::to_string(array);
  // A current beyond any real chip; sums of such currents stay finite.
  constexpr double kMostAmperes = 1e6;
  exchange(multiply_request(array, lines, count, voltages),
           ReplyReader(where(request), kReply, count, currents, kMostAmperes), options_.timeout);
}

std::string ExternalChip::where(const std::string& request) const {
  return "external chip \"" + excerpt(options_.command) + "\", " + request;
}

void ExternalChip::exchange(const std::string& request, ReplyReader reply, double seconds) {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw Error(failure_);
  try {
    driver_->exchange(request, reply, seconds, reply.where());
  } catch (const Error& error) {
    failure_ = error.what();
    driver_->kill();
    throw;
  }
}

}  // namespace crosstate::hardware
