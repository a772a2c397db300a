// Messages over MPI. Only one thread calls, and nothing blocks. Errors come from dead ranks, which
// Team detects by missing heartbeats.
#define OMPI_SKIP_MPICXX
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <list>

#include "cli/transport.h"
#include "crosstate/base/error.h"

namespace crosstate::cli {
namespace {

bool connected = false;

class MpiTransport : public search::Transport {
 public:
  MpiTransport() {
    int level = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
    connected = true;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    if (level < MPI_THREAD_FUNNELED) fail("MPI", "this library does not allow threads");
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  // Messages in flight stay in memory until they have been sent; to a dead rank that may be never.
  void send(int to, const std::string& text) override {
    sent_.remove_if([](Sent& sent) {
      int gone = 0;
      return MPI_Test(&sent.request, &gone, MPI_STATUS_IGNORE) != MPI_SUCCESS || gone != 0;
    });
    Sent& sent = sent_.emplace_back();
    sent.text = text;
    MPI_Isend(sent.text.data(), static_cast<int>(sent.text.size()), MPI_CHAR, to, 0, MPI_COMM_WORLD,
              &sent.request);
  }

  std::vector<search::Message> receive() override {
    std::vector<search::Message> messages;
    for (;;) {
      int found = 0;
      MPI_Status status;
      const int code = MPI_Iprobe(MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &found, &status);
      if (code != MPI_SUCCESS || found == 0) return messages;
      int size = 0;
      MPI_Get_count(&status, MPI_CHAR, &size);
      search::Message message{status.MPI_SOURCE, std::string(static_cast<std::size_t>(size), ' ')};
      if (MPI_Recv(message.text.data(), size, MPI_CHAR, message.from, 0, MPI_COMM_WORLD, &status) ==
          MPI_SUCCESS) {
        messages.push_back(std::move(message));
      }
    }
  }

 private:
  struct Sent {
    std::string text;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  int rank_ = 0, size_ = 1;
  std::list<Sent> sent_;
};

// Without mpirun, initialising MPI would only cost time.
bool started_by_mpi() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

}  // namespace

std::unique_ptr<search::Transport> connect() {
  if (!started_by_mpi()) return nullptr;
  return std::make_unique<MpiTransport>();
}

void warn_without_recovery(const search::Transport* transport) {
  if (transport == nullptr || transport->rank() != 0 || transport->size() == 1) return;
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr)
    return;  // another MPI implementation, which may differ
  const char* recovery = std::getenv("OMPI_MCA_orte_enable_recovery");
  if (recovery != nullptr && std::string(recovery) != "0") return;
  std::fputs(
      "mpirun without --enable-recovery ends all ranks when one dies; --resume would continue\n",
      stderr);
}

void disconnect(bool lost_a_rank, int code) {
  if (!connected) return;
  if (lost_a_rank) {
    std::fflush(nullptr);
    std::_Exit(code);
  }
  MPI_Finalize();
}

}  // namespace crosstate::cli
