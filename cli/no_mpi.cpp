// A program without MPI: every process runs alone.
#include "cli/transport.h"

namespace crosstate::cli {

std::unique_ptr<search::Transport> connect() { return nullptr; }
void warn_without_recovery(const search::Transport*) {}
void disconnect(bool, int) {}

}  // namespace crosstate::cli
