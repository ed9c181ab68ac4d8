// A read-only memory map of a file: bytes that are never looked at are never read from disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace narfast {

/// A path that does not lead to a readable regular file.
struct FileNotReadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The bytes of a regular file, mapped for as long as the object lives.
class MappedFile {
 public:
  /// Maps `path` (UTF-8, as the operating system takes it). An empty file maps to an empty span.
  /// @throws FileNotReadable when there is no such file, it is not a regular file, or the system
  ///         refuses it; the message names the path and the reason.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {data_, size_}; }

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace narfast
