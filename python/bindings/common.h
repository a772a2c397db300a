// Shared by the binding files: settings, arrays, data in memory, and what a long call needs of
// Python.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "crosstate/base/options.h"
#include "crosstate/data/options.h"
#include "crosstate/pipeline/options.h"
#include "crosstate/pipeline/output.h"

namespace crosstate::python {

namespace nb = nanobind;
using namespace nb::literals;

// --- settings

/// Keys with their values as text, in the order in which they are set.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// Sets the fields. `used` as in FieldList::use_only(), `user` as there.
void apply(FieldList& list, const Settings& settings, const std::vector<std::string>& used,
           const std::string& user);

/// The defaults changed by the target (if not empty), the TOML file (if not empty) and the
/// settings, in this order; validated.
pipeline::RunOptions run_options(const Settings& settings, const std::vector<std::string>& used,
                                 const std::string& user, const std::string& target = "",
                                 const std::string& config = "");

/// What a run does with earlier results: "continue", "replace", or else refuse.
inline pipeline::Earlier earlier_of(const std::string& name) {
  if (name == "continue") return pipeline::Earlier::kContinue;
  return name == "replace" ? pipeline::Earlier::kReplace : pipeline::Earlier::kRefuse;
}

/// Throws Error for a setting that has no effect; `reason` returns why, or "" if it has one.
void refuse_idle(const Settings& settings,
                 const std::function<std::string(const std::string&)>& reason);

// --- arrays

/// An array that is read, in C order; Python has checked its type and number of dimensions.
template <class T>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<nb::numpy, T>;

/// dict[str, Any], as stubs name it.
using PyDict = nb::typed<nb::dict, nb::str, nb::any>;

template <class T>
Out<T> to_numpy(std::vector<T> values, std::initializer_list<std::size_t> shape) {
  auto kept = std::make_unique<std::vector<T>>(std::move(values));
  T* data = kept->data();
  nb::capsule owner(kept.release(),
                    [](void* at) noexcept { delete static_cast<std::vector<T>*>(at); });
  return Out<T>(data, shape, owner);
}

template <class T>
std::span<const T> values_of(const In<T>& array) {
  return {array.data(), array.size()};
}

// --- data

/// Data in memory: sequences with targets, or recordings.
struct Memory {
  std::shared_ptr<const data::DataSets> sets;
  std::shared_ptr<const data::AudioSets> recordings;
};

void use(const Memory* memory, data::DataOptions& options);

// --- long calls

/// Lets Python handle its signals during a call without the GIL, and keeps the first exception of
/// its callbacks, so that none passes through the library. Thread-safe.
class Call {
 public:
  /// For `stop` of the library: whether to stop, because of a signal, an exception, or request().
  /// Only the thread that made the object looks at signals.
  bool stop();
  /// Ends the call at the next stop(), without an exception.
  void request() { stopped_ = true; }
  /// Calls Python with the GIL. An exception stops the call.
  void python(const std::function<void()>& body);
  /// Runs the work on a thread of its own, and looks at signals until it ends; for work that does
  /// not call stop() regularly on its own thread. Throws what the work throws.
  void aside(const std::function<void()>& work);
  /// The exception that stopped the call; null for none.
  std::exception_ptr failure() const { return failure_; }
  /// Throws it, after the call.
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  const std::thread::id thread_ = std::this_thread::get_id();
  std::chrono::steady_clock::time_point next_ = {};
  std::atomic<bool> stopped_ = false;
  std::exception_ptr failure_;  // written with the GIL
};

// --- one function per folder

void bind_base(nb::module_& m);
void bind_data(nb::module_& m);
void bind_model(nb::module_& m);
void bind_inference(nb::module_& m);
void bind_pipeline(nb::module_& m);
void bind_device(nb::module_& m);
void bind_circuit(nb::module_& m);
void bind_crossbar(nb::module_& m);
void bind_mapping(nb::module_& m);
void bind_simulate(nb::module_& m);
void bind_cost(nb::module_& m);
void bind_exporter(nb::module_& m);
void bind_search(nb::module_& m);
void bind_kernels(nb::module_& m);
void bind_block(nb::module_& m);

}  // namespace crosstate::python
