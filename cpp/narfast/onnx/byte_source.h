// Bytes by offset, of memory or of a file. A file is read on demand, with pread, in blocks. It is
// never mapped: a file that shrinks under a map kills the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace narfast {

/// A path that does not lead to a readable regular file.
struct FileNotReadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A fixed number of bytes, read on demand. Not for several threads at once.
///
/// Blocks follow the reader: 4 KiB after a jump, then doubling up to 256 KiB. Memory: all blocks
/// with views, and one more.
class ByteSource {
 public:
  /// Bytes in memory, which must outlive the object and all views.
  explicit ByteSource(std::span<const std::uint8_t> bytes) : size_(bytes.size()), block_(bytes) {}

  /// The regular file at `path` (as the operating system takes it), as long as it is now.
  /// @throws FileNotReadable when there is no such file, it is not a regular file, or the system
  ///         refuses it; the message names the path and the reason.
  explicit ByteSource(const std::string& path);

  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  [[nodiscard]] std::size_t size() const { return size_; }

  /// One byte; `offset` is below size().
  /// @throws CorruptFile when the file has become shorter, or the system cannot read it any more.
  [[nodiscard]] std::uint8_t byte(std::size_t offset) {
    if (offset - begin_ >= block_.size()) load(offset, 1);
    return block_[offset - begin_];
  }

  /// `count` bytes in one piece; the view stays valid, and the bytes the same, as long as the
  /// object lives. `offset + count` is at most size().
  /// @throws CorruptFile as byte().
  [[nodiscard]] std::span<const std::uint8_t> view(std::size_t offset, std::size_t count);

 private:
  void load(std::size_t offset, std::size_t count);

  int file_ = -1;
  std::size_t size_ = 0;
  std::span<const std::uint8_t> block_;  ///< the current block
  std::size_t begin_ = 0;                ///< its offset
  std::size_t next_ = 0;                 ///< length of the next block, without a jump
  bool viewed_ = false;                  ///< a view points into the block
  std::unique_ptr<std::uint8_t[]> memory_;
  std::vector<std::unique_ptr<std::uint8_t[]>> kept_;  ///< earlier blocks with views into them
};

}  // namespace narfast
