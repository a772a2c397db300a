// A program without MPI: every process runs alone.
#include "cli/transport.h"

namespace crosstate::cli {

std::unique_ptr<Transport> connect() { return nullptr; }
void warn_without_recovery(const Transport*) {}
void disconnect(bool, int) {}

}  // namespace crosstate::cli
