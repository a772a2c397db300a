// Connection to other processes of the same command, if started by mpirun.
#pragma once

#include <memory>

#include "crosstate/search/transport.h"

namespace crosstate::cli {

/// The processes that MPI has started together; null for a single process, and in a program built
/// without MPI (no_mpi.cpp replaces mpi.cpp). Call it once.
std::unique_ptr<search::Transport> connect();

/// Warns on standard error, on rank 0, if the death of a rank will end the whole job.
void warn_without_recovery(const search::Transport* transport);

/// Ends what connect() began, after the last message. If a rank was lost, it ends the process with
/// `code`, since MPI would wait for the dead rank.
void disconnect(bool lost_a_rank, int code);

}  // namespace crosstate::cli
