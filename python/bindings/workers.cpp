#include "python/bindings/workers.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace crosstate::python {
namespace {

// Of GCC's OpenMP: runs work(data) on each of the given number of threads, and waits for them.
using RunRegion = void (*)(void (*work)(void*), void* data, unsigned threads, unsigned flags);

bool forked = false;
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { forked = true; });

// The path of the OpenMP library in this process; several packages may have brought their own.
std::string openmp_path() {
  std::string found;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* data) {
        auto& path = *static_cast<std::string*>(data);
        if (std::strstr(library->dlpi_name, "libgomp") == nullptr) return 0;
        const bool of_torch = std::strstr(library->dlpi_name, "/torch/") != nullptr;
        if (path.empty() || of_torch) path = library->dlpi_name;
        return of_torch ? 1 : 0;
      },
      &found);
  return found;
}

// Null as long as no such library is loaded.
RunRegion openmp() {
  static std::atomic<RunRegion> known{nullptr};
  if (known == nullptr) {
    const std::string path = openmp_path();
    if (path.empty()) return nullptr;
    // Never closed: the library stays loaded as long as PyTorch does.
    void* const library = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) return nullptr;
    known = reinterpret_cast<RunRegion>(dlsym(library, "GOMP_parallel"));
  }
  return known;
}

// One loop, which threads enter and leave by themselves.
struct Loop {
  std::size_t count;
  const std::function<void(std::size_t)>& body;
  std::atomic<std::size_t> next{0};
  std::mutex mutex = {};
  std::exception_ptr error = nullptr;

  void work() {
    for (std::size_t item = next++; item < count; item = next++) {
      try {
        body(item);
      } catch (...) {
        next = count;
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  }
};

}  // namespace

void parallel_for(int threads, std::size_t count, const std::function<void(std::size_t)>& body) {
  if (threads == 1 || count == 1) {
    for (std::size_t item = 0; item < count; ++item) body(item);
    return;
  }
  const RunRegion run = forked ? nullptr : openmp();
  if (run == nullptr) {
    with_pool(threads, [&](ThreadPool& pool) {
      pool.parallel_for(count, [&](std::size_t item, int) { body(item); });
    });
    return;
  }
  Loop loop{count, body};
  run([](void* data) { static_cast<Loop*>(data)->work(); }, &loop, static_cast<unsigned>(threads),
      0);
  if (loop.error) std::rethrow_exception(loop.error);
}

void with_pool(int threads, const std::function<void(ThreadPool&)>& body) {
  struct Kept {
    std::mutex mutex;
    std::unique_ptr<ThreadPool> pool;
    int size = 0;
    pid_t process = 0;
  };
  // Never destroyed: at exit of a forked process the threads of the pool do not exist.
  static Kept& kept = *new Kept;
  const std::unique_lock lock(kept.mutex, std::try_to_lock);
  if (!lock || threads == 1) {
    ThreadPool alone(1);
    body(alone);
    return;
  }
  if (kept.process != getpid()) {
    static_cast<void>(kept.pool.release());
    kept.process = getpid();
  }
  if (!kept.pool || kept.size != threads) {
    kept.pool = std::make_unique<ThreadPool>(threads);
    kept.size = threads;
  }
  body(*kept.pool);
}

void keep_freed_memory() {
#ifdef __GLIBC__
  for (const char* name : {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}) {
    if (std::getenv(name) != nullptr) return;
  }
  const char* const tunables = std::getenv("GLIBC_TUNABLES");
  if (tunables != nullptr && std::string_view(tunables).find("glibc.malloc") != std::string::npos) {
    return;
  }
  constexpr int kLargestKept = 256 << 20, kMostKept = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLargestKept);
  mallopt(M_TRIM_THRESHOLD, kMostKept);
#endif
}

}  // namespace crosstate::python
