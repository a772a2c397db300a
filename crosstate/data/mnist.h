// Image sets in the MNIST file naming, read as pixel sequences.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "crosstate/data/dataset.h"

namespace crosstate::data {

/// One IDX file of unsigned bytes (http://yann.lecun.com/exdb/mnist): dimensions and data.
struct IdxArray {
  std::vector<std::uint32_t> dimensions;
  std::vector<std::uint8_t> data;
};

/// Reads an IDX file, plain or .gz. Checks magic number, element type, dimensions against the bytes
/// present, and sizes that would overflow; throws Error.
IdxArray read_idx(const std::filesystem::path& path);
/// The same from the unpacked bytes of a file; `where` names it in errors.
IdxArray parse_idx(const std::string& bytes, const std::string& where);

struct TrainTest {
  Dataset train, test;
};

/// Whether one of the four files that read_mnist() reads is in the directory.
bool holds_mnist(const std::filesystem::path& directory);

/// Reads {train,t10k}-images-idx3-ubyte[.gz] and {train,t10k}-labels-idx1-ubyte[.gz] from a
/// directory as sequences of rows*columns steps, one channel, values v / 255 in [0, 1]. The names
/// may have a dot before idx, as archives leave it, and a plain file may lie in a folder of its
/// name. Accepts any image size and 2 to 256 classes (MNIST, Fashion-MNIST, KMNIST, ...).
TrainTest read_mnist(const std::filesystem::path& directory);

/// The built-in sample of 6,000 + 1,000 real MNIST digits (data/mnist-sample). Looks beside the
/// installed library, then in the source tree; the environment variable CROSSTATE_DATA_DIR, where
/// set, names the only directory searched for mnist-sample.
TrainTest read_mnist_sample();

}  // namespace crosstate::data
