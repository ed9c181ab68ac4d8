// Pieces of the ONNX reader that its files share: checked access to protobuf fields, and tensors.
#pragma once

#include <cstdint>
#include <string_view>

#include "narfast/onnx/protobuf_wire.h"
#include "narfast/onnx/reader.h"

namespace narfast::onnx {

/// No value of a real model has more axes.
inline constexpr std::size_t kMaxRank = 64;

/// @throws CorruptFile unless the field has this wire type.
void expect(const wire::Field& field, wire::Type type);

/// A name: checked to be UTF-8, because it ends up in messages and reports.
[[nodiscard]] std::string_view name_of(const wire::Field& field);

[[nodiscard]] std::int64_t integer_of(const wire::Field& field);

[[nodiscard]] float to_float(std::uint64_t bits);

/// Reads the TensorProto or SparseTensorProto in `message`; weight bytes are skipped.
[[nodiscard]] Tensor parse_tensor(const wire::Field& message);
[[nodiscard]] Tensor parse_sparse_tensor(const wire::Field& message);

}  // namespace narfast::onnx
