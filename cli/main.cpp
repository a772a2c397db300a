// crosstate: main program; one subcommand per file of this folder.
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

// At most three lines, whatever the message contains.
int complain(const std::string& error) {
  std::string message = as_utf8(error);  // arguments may have any bytes
  std::size_t lines = 0;
  for (std::size_t i = 0; i < message.size(); ++i) {
    if (message[i] == '\n' && ++lines == 3) message.resize(i);
  }
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::fprintf(stderr, "crosstate: %s\n", message.c_str());
  return cli::kBadInput;
}

// If a standard stream is closed, the next file that is opened would take its number, and would
// then be read as input or overwritten by output. Opens a descriptor in its place on which every
// read, or write, fails.
void hold_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(number, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one, since those below are open.
    const int held = open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (held >= 0 && held != number) close(held);
  }
}

// Makes an allocation beyond the free memory fail, which is reported as an error; otherwise the
// system would kill this process, or another, when the pages are touched.
void stay_within_memory() {
// Sanitizers reserve far more address space than they use.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  std::ifstream file("/proc/meminfo");
  rlim_t available = 0;
  std::string name, unit;
  for (rlim_t kilobytes = 0; file >> name >> kilobytes && std::getline(file, unit);) {
    if (name == "MemAvailable:" || name == "SwapFree:") available += 1024 * kilobytes;
  }
  rlimit limit = {};
  if (available == 0 || getrlimit(RLIMIT_DATA, &limit) != 0) return;
  limit.rlim_cur = std::min(limit.rlim_cur, available / 16 * 15);  // leaves some memory to others
  setrlimit(RLIMIT_DATA, &limit);
#endif
}

constexpr const char* kOutOfMemory = "out of memory: lower the batch, the channels or the length";

}  // namespace

int main(int argc, char** argv) {
  hold_standard_streams();
  // Exceeding the file size limit of the shell (ulimit -f) becomes a write error, like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  stay_within_memory();
  try {
    cli::Program program("crosstate",
                         "Trains S4D networks, quantizes them including the recurrent state, and "
                         "simulates and prices them on memristive crossbars.",
                         "crosstate " + std::string(kVersion));
    cli::Command root = program.root();
    cli::add_demo(root);
    cli::add_train(root);
    cli::add_eval(root);
    cli::add_quantize(root);
    cli::add_convert(root);
    cli::add_export(root);
    cli::add_prune(root);
    cli::add_deploy(root);
    cli::add_simulate(root);
    cli::add_stream(root);
    cli::add_info(root);
    cli::add_device(root);
    cli::add_array(root);
    cli::add_cost(root);
    cli::add_break_even(root);
    cli::add_sweep(root);
    cli::add_search(root);
    cli::add_bench(root);
    cli::add_settings(root);
    cli::add_completion(root);
    cli::add_manual(root);
    const int code = program.parse(argc, argv)();
    cli::flush_output();
    return code;
  } catch (const Error& error) {
    return complain(error.what());
  } catch (const std::bad_alloc&) {
    return complain(kOutOfMemory);
  } catch (const std::length_error&) {  // thrown by containers
    return complain(kOutOfMemory);
  } catch (const std::exception& error) {
    return complain(std::string("unexpected: ") + error.what());
  }
}
