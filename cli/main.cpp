// crosstate: one subcommand per file of this folder.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
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
  stay_within_memory();
  try {
    cli::add_demo(app, chosen);
    cli::add_train(app, chosen);
    cli::add_eval(app, chosen);
    cli::add_quantize(app, chosen);
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
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      return complain("standard output: cannot write");
    }
    return code;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
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
