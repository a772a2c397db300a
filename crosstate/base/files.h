// Whole files in and out; a file that is written appears complete or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

namespace crosstate {

/// The file's bytes; a name ending in .gz is decompressed (zlib). Throws Error naming the path when
/// it is missing, unreadable, truncated, damaged, the pointer that stands for a file in a
/// repository, or holds more than `most` bytes, 1 MiB if it is a character device.
std::string read_file(const std::filesystem::path& path,
                      std::size_t most = std::numeric_limits<std::size_t>::max());

/// Throws Error where bytes, the first of a file, are those of a pointer that Git LFS or git-annex
/// leaves in the place of the file. read_file() does it for every file.
void refuse_pointer(std::string_view bytes, const std::string& where);

/// The bytes inside a gzip file of one or more members, of which zeros may follow; `where` names
/// the source in errors.
std::string unpack_gzip(std::string_view packed, const std::string& where,
                        std::size_t most = std::numeric_limits<std::size_t>::max());

/// Writes beside the target, flushes to disk, then renames; throws Error naming the path.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Creates the directory with its parents and proves that it can be written; throws Error.
void make_writable_directory(const std::filesystem::path& path);

}  // namespace crosstate
