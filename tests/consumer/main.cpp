// A separate project that uses the installed library, to test headers, link line and version.
#include <crosstate/base/error.h>
#include <crosstate/base/options.h>
#include <crosstate/base/random.h>
#include <crosstate/base/threads.h>
#include <crosstate/base/version.h>
#include <crosstate/circuit/wires.h>

#include <iostream>
#include <vector>

int main() {
  int epochs = 10;
  crosstate::FieldList fields;
  fields.section("train").add("epochs", epochs, "Passes over the data.").range(1, 1000);
  fields.set("train.epochs=4");

  crosstate::ThreadPool pool(2);
  std::vector<std::uint32_t> draws(static_cast<std::size_t>(epochs));
  pool.parallel_for(draws.size(), [&](std::size_t item, int) {
    draws[item] =
        crosstate::Random(1, crosstate::Stream::kTest, static_cast<std::uint32_t>(item)).below(6);
  });

  const std::vector<double> cells = {1e-3, 2e-3};
  if (crosstate::circuit::effective_conductance(cells, 1, 2, {.segment = 1}).size() != 2) return 1;

  std::cout << "crosstate " << crosstate::kVersion << ", " << draws.size() << " draws\n";
  return draws.size() == 4 ? 0 : 1;
}
