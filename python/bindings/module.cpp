// The extension module crosstate._core, and what its parts share.
#include <future>
#include <string_view>

#include "crosstate/base/error.h"
#include "crosstate/crossbar/target.h"
#include "crosstate/pipeline/data.h"
#include "python/bindings/common.h"

namespace crosstate::python {

namespace {

// Errors of single assignments begin with a place that says nothing here.
void set(FieldList& list, const std::string& key, const std::string& value) {
  try {
    list.set(key + '=' + value);
  } catch (const Error& error) {
    constexpr std::string_view kPlace = "option: ";
    std::string_view message = error.what();
    if (message.starts_with(kPlace)) message.remove_prefix(kPlace.size());
    throw Error(std::string(message));
  }
}

}  // namespace

void apply(FieldList& list, const Settings& settings, const std::vector<std::string>& used,
           const std::string& user) {
  if (!used.empty()) list.use_only(used, user);
  for (const auto& [key, value] : settings) set(list, key, value);
}

pipeline::RunOptions run_options(const Settings& settings, const std::vector<std::string>& used,
                                 const std::string& user, const std::string& target,
                                 const std::string& config) {
  pipeline::RunOptions options;
  if (!target.empty()) {
    options.target = crossbar::read_target(target, options.target);
    options.qat.target_noise = 1;
  }
  FieldList list = options.fields();
  list.use_only(used, user);
  if (!config.empty()) list.read_toml(config);
  apply(list, settings, {}, user);
  pipeline::validate(options);
  return options;
}

void refuse_idle(const Settings& settings,
                 const std::function<std::string(const std::string&)>& reason) {
  for (const auto& [key, value] : settings) {
    const std::string why = reason(key);
    if (!why.empty()) throw Error(key + " has no effect with " + why);
  }
}

void use(const Memory* memory, data::DataOptions& options) {
  if (memory == nullptr) return;
  options.sets = memory->sets;
  options.recordings = memory->recordings;
}

bool Call::stop() {
  if (stopped_ || std::this_thread::get_id() != thread_) return stopped_;
  // Acquiring the GIL takes time while other threads run Python.
  constexpr std::chrono::milliseconds kInterval{20};
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return false;
  next_ = now + kInterval;
  python([] {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
  });
  return stopped_;
}

void Call::python(const std::function<void()>& body) {
  const nb::gil_scoped_acquire gil;
  try {
    body();
  } catch (...) {
    if (!failure_) failure_ = std::current_exception();
    stopped_ = true;
  }
}

void Call::aside(const std::function<void()>& work) {
  std::future<void> done = std::async(std::launch::async, work);
  while (done.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) stop();
  done.get();
}

}  // namespace crosstate::python

NB_MODULE(_core, m) {
  using namespace crosstate::python;
  m.doc() = "Bindings of the C++ library; the package crosstate is the interface.";
  bind_base(m);
  bind_data(m);
  bind_model(m);
  bind_inference(m);
  bind_pipeline(m);
  bind_device(m);
  bind_circuit(m);
  bind_crossbar(m);
  bind_mapping(m);
  bind_simulate(m);
  bind_cost(m);
  bind_exporter(m);
  bind_search(m);
  bind_kernels(m);
  bind_block(m);
}
