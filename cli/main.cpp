// crosstate: one subcommand per file of this folder.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/utf8.h"
#include "crosstate/base/version.h"

namespace {

using namespace crosstate;

// At most three lines, whatever the message holds.
int complain(const std::string& error) {
  std::string message = as_utf8(error);  // arguments may be of any bytes
  std::size_t lines = 0;
  for (std::size_t i = 0; i < message.size(); ++i) {
    if (message[i] == '\n' && ++lines == 3) message.resize(i);
  }
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::fprintf(stderr, "crosstate: %s\n", message.c_str());
  return cli::kBadInput;
}

// The subcommands that the arguments begin with: "bench scan".
std::string command_of(const CLI::App& app, int argc, char** argv) {
  std::string names;
  const CLI::App* at = &app;
  for (int i = 1; i < argc; ++i) {
    const auto commands = at->get_subcommands({});
    const auto found = std::find_if(commands.begin(), commands.end(), [&](const CLI::App* command) {
      return command->get_name() == argv[i];
    });
    if (found == commands.end()) break;
    at = *found;
    names += (names.empty() ? "" : " ") + at->get_name();
  }
  return names;
}

// CLI11 takes an unknown subcommand for a stray argument; say what there is.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, int argc,
                          char** argv) {
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  const std::string command = command_of(app, argc, argv);
  if (!command.empty()) return command + ": " + message + "\nTry: crosstate " + command + " --help";
  const std::string first = argc > 1 ? argv[1] : "";
  std::string names;
  for (const CLI::App* known : app.get_subcommands({})) {
    names += (names.empty() ? "" : ", ") + known->get_name();
  }
  if (first.empty()) return "no subcommand, expected one of " + names;
  if (first[0] == '-') return "unknown option " + first + "\nTry: crosstate --help";
  return "unknown subcommand \"" + first + "\", expected one of " + names;
}

// Prints what --help or --version asks for.
int show_help(const CLI::App& app, const CLI::ParseError& error) {
  const int code = app.exit(error);
  std::cout.flush();
  try {
    cli::flush_output();
  } catch (const Error& failed) {
    return complain(failed.what());
  }
  return code;
}

// A standard stream that is closed would be taken by the next file that is opened, which would then
// be read as input or written over by results. In its place stands one on which every read, or
// write, fails.
void hold_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(number, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one, since those below are open.
    const int held = open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (held >= 0 && held != number) close(held);
  }
}

// Makes an allocation beyond the memory that is free fail, which is told in a line; otherwise the
// system would end this process, or another, once the pages are touched.
void stay_within_memory() {
// Sanitizers reserve far more than they use.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  std::ifstream file("/proc/meminfo");
  rlim_t available = 0;
  std::string name, unit;
  for (rlim_t kilobytes = 0; file >> name >> kilobytes && std::getline(file, unit);) {
    if (name == "MemAvailable:" || name == "SwapFree:") available += 1024 * kilobytes;
  }
  rlimit limit = {};
  if (available == 0 || getrlimit(RLIMIT_DATA, &limit) != 0) return;
  limit.rlim_cur = std::min(limit.rlim_cur, available / 16 * 15);  // others go on, too
  setrlimit(RLIMIT_DATA, &limit);
#endif
}

constexpr const char* kOutOfMemory = "out of memory: lower the batch, the channels or the length";

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Trains S4D networks, quantizes them with the state in the loop, and shows what they become "
      "on memristive crossbars.",
      "crosstate");
  app.set_version_flag("--version", "crosstate " + std::string(kVersion));
  app.require_subcommand(1);
  cli::Action chosen;
  hold_standard_streams();
  // A file beyond the limit of the shell (ulimit -f) is then an error of its write, as a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  stay_within_memory();
  try {
    cli::add_demo(app, chosen);
    cli::add_train(app, chosen);
    cli::add_eval(app, chosen);
    cli::add_quantize(app, chosen);
    cli::add_convert(app, chosen);
    cli::add_prune(app, chosen);
    cli::add_deploy(app, chosen);
    cli::add_simulate(app, chosen);
    cli::add_stream(app, chosen);
    cli::add_info(app, chosen);
    cli::add_device(app, chosen);
    cli::add_array(app, chosen);
    cli::add_cost(app, chosen);
    cli::add_sweep(app, chosen);
    cli::add_search(app, chosen);
    cli::add_bench(app, chosen);
    app.parse(argc, argv);
    const int code = chosen();
    cli::flush_output();
    return code;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return show_help(app, error);
    return complain(usage_message(app, error, argc, argv));
  } catch (const Error& error) {
    return complain(error.what());
  } catch (const std::bad_alloc&) {
    return complain(kOutOfMemory);
  } catch (const std::length_error&) {  // of a container
    return complain(kOutOfMemory);
  } catch (const std::exception& error) {
    return complain(std::string("unexpected: ") + error.what());
  }
}
