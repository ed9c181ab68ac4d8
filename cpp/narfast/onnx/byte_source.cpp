// The POSIX side of ByteSource.
#include "narfast/onnx/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "narfast/base/errors.h"

namespace narfast {
namespace {

constexpr std::size_t kFirst = std::size_t{32} << 10;
constexpr std::size_t kAfterJump = std::size_t{4} << 10;
constexpr std::size_t kLargest = std::size_t{256} << 10;

/// Closes the descriptor unless it is released.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

/// The text of an error number. Unlike strerror, safe on several threads.
std::string reason(int number) { return std::generic_category().message(number); }

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw FileNotReadable("cannot read " + path + ": " + why +
                        "; give the path of an existing, readable file");
}

}  // namespace

ByteSource::ByteSource(const std::string& path) : next_(kFirst / 2) {
  if (path.find('\0') != std::string::npos) refuse(path.c_str(), "the path contains a zero byte");
  // O_NONBLOCK: a named pipe must be refused below, not waited for.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) refuse(path, reason(errno));
  struct stat info{};
  if (::fstat(file.fd, &info) != 0) refuse(path, reason(errno));
  if (S_ISDIR(info.st_mode)) refuse(path, "it is a directory");
  if (!S_ISREG(info.st_mode)) refuse(path, "it is not a regular file");
  // Readers skip large fields; read-ahead would fetch the skipped bytes.
#ifdef POSIX_FADV_RANDOM
  (void)::posix_fadvise(file.fd, 0, 0, POSIX_FADV_RANDOM);
#endif
  size_ = static_cast<std::size_t>(info.st_size);
  file_ = file.release();
}

ByteSource::~ByteSource() {
  if (file_ >= 0) ::close(file_);
}

std::span<const std::uint8_t> ByteSource::view(std::size_t offset, std::size_t count) {
  if (count == 0) return {};
  if (offset - begin_ >= block_.size() || count > block_.size() - (offset - begin_)) {
    load(offset, count);
  }
  viewed_ = true;
  return block_.subspan(offset - begin_, count);
}

void ByteSource::load(std::size_t offset, std::size_t count) {
  const bool goes_on = offset >= begin_ && offset - begin_ <= block_.size();
  next_ = goes_on ? std::min(2 * next_, kLargest) : kAfterJump;
  const std::size_t wanted = std::min(std::max(count, next_), size_ - offset);
  if (viewed_) kept_.push_back(std::move(memory_));
  viewed_ = false;
  block_ = {};
  memory_ = std::make_unique_for_overwrite<std::uint8_t[]>(wanted);
  std::size_t done = 0;
  while (done < wanted) {
    const ::ssize_t got =
        ::pread(file_, memory_.get() + done, wanted - done, static_cast<::off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const std::string why = got == 0 ? "the file became shorter while it was read"
                                       : "the system cannot read on: " + reason(errno);
      throw CorruptFile("damaged at byte " + std::to_string(offset + done) + ": " + why +
                        "; read it again when nothing writes to it");
    }
    done += static_cast<std::size_t>(got);
  }
  block_ = {memory_.get(), wanted};
  begin_ = offset;
}

}  // namespace narfast
