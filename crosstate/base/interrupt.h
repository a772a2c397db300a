// Handling of Ctrl-C: long loops poll interrupted() and stop at the next safe point.
#pragma once

namespace crosstate {

/// From now on the first SIGINT or SIGTERM only sets a flag; the second one ends the process
/// immediately. Calling it again clears the flag.
void catch_interrupts();

/// Whether a signal has arrived since catch_interrupts(). Thread-safe.
bool interrupted();

}  // namespace crosstate
