// crosstate: one subcommand per file of this folder.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/version.h"

namespace {

using namespace crosstate;

// At most three lines, whatever the message holds.
int complain(std::string message) {
  std::size_t lines = 0;
  for (std::size_t i = 0; i < message.size(); ++i) {
    if (message[i] == '\n' && ++lines == 3) message.resize(i);
  }
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::fprintf(stderr, "crosstate: %s\n", message.c_str());
  return cli::kBadInput;
}

// CLI11 takes an unknown subcommand for a stray argument; say what there is.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, int argc,
                          char** argv) {
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  const std::string first = argc > 1 ? argv[1] : "";
  std::string names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == first) {
      return first + ": " + message + "\nTry: crosstate " + first + " --help";
    }
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  if (first.empty()) return "no subcommand, expected one of " + names;
  if (first[0] == '-') return "unknown option " + first + "\nTry: crosstate --help";
  return "unknown subcommand \"" + first + "\", expected one of " + names;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Trains S4D networks, quantizes them with the state in the loop, and shows what they become "
      "on memristive crossbars.",
      "crosstate");
  app.set_version_flag("--version", "crosstate " + std::string(kVersion));
  app.require_subcommand(1);
  cli::Action chosen;
  try {
    cli::add_demo(app, chosen);
    cli::add_train(app, chosen);
    cli::add_eval(app, chosen);
    cli::add_info(app, chosen);
    cli::add_bench(app, chosen);
    app.parse(argc, argv);
    return chosen();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return complain(usage_message(app, error, argc, argv));
  } catch (const Error& error) {
    return complain(error.what());
  } catch (const std::bad_alloc&) {
    return complain("out of memory: lower the batch, the channels or the length");
  } catch (const std::exception& error) {
    return complain(std::string("unexpected: ") + error.what());
  }
}
