// Ctrl-C as a question: long loops look at interrupted() and stop at the next good place.
#pragma once

namespace crosstate {

/// From now on the first SIGINT or SIGTERM only sets a flag; the second one ends the process at
/// once. Calling it again clears the flag.
void catch_interrupts();

/// Whether a signal has arrived since catch_interrupts(). Safe from any thread.
bool interrupted();

}  // namespace crosstate
