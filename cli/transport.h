// Other processes of the same command, where mpirun has started several.
#pragma once

#include <memory>

#include "crosstate/search/transport.h"

namespace crosstate::cli {

/// The processes that MPI has started together; null for one that runs alone, and in a program that
/// was built without MPI (no_mpi.cpp stands for mpi.cpp). Call it once.
std::unique_ptr<search::Transport> connect();

/// Says on standard error, as rank 0, that the death of a rank will end the whole job, if it will.
void warn_without_recovery(const search::Transport* transport);

/// Ends what connect() began, once nothing is sent any more. With a rank lost it ends the process
/// with `code`, since MPI would wait for the dead.
void disconnect(bool lost_a_rank, int code);

}  // namespace crosstate::cli
