#include "crosstate/base/interrupt.h"

#include <signal.h>

#include <atomic>

namespace crosstate {
namespace {

std::atomic<bool> signal_arrived = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler must not wait for a lock");

// Only async-signal-safe calls are allowed here.
void on_signal(int) {
  signal_arrived = true;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
  signal_arrived = false;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return signal_arrived; }

}  // namespace crosstate
