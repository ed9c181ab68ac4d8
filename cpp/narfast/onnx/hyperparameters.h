// The exact hyperparameters of an operator, read off an ONNX node and the facts about its operands;
// and the path of the module that an exporter has written down.
#pragma once

#include <optional>
#include <string>

#include "narfast/graph/hyperparameters.h"
#include "narfast/onnx/attributes.h"
#include "narfast/onnx/flatten.h"
#include "narfast/onnx/shapes.h"

namespace narfast::onnx {

/// Views into the model and its facts, which must outlive it.
class HyperparameterReader {
 public:
  HyperparameterReader(const FlatModel& model, const ShapeInference& facts,
                       const AttributeReader& attributes)
      : flat_(model), facts_(facts), attributes_(attributes) {}

  /// Appends what `flat` says about an operator of the table to the last row of `rows`; parameters
  /// and path excepted.
  void read(const FlatNode& flat, OpId op, Hyperparameters& rows) const;

 private:
  void window(const FlatNode& flat, OpId op, Hyperparameters& rows) const;
  void channels(const FlatNode& flat, Hyperparameters& rows) const;
  void norm(const FlatNode& flat, OpId op, Hyperparameters& rows) const;
  void attention(const FlatNode& flat, Hyperparameters& rows) const;
  void recurrent(const FlatNode& flat, Hyperparameters& rows) const;

  const FlatModel& flat_;
  const ShapeInference& facts_;
  const AttributeReader& attributes_;
};

/// The path of the module that ran `node`: as torch.export's scopes say it, or as the name of the
/// node spells it ("/layer1/layer1.0/conv1/Conv" is layer1.0.conv1). None if neither does.
[[nodiscard]] std::optional<std::string> module_path(const Node& node);

/// The module that holds a parameter: layer1.0.conv1 of "layer1.0.conv1.weight". None for a name
/// without a dot, or one that an exporter made up ("onnx::Conv_497").
[[nodiscard]] std::optional<std::string> module_of_parameter(std::string_view name);

}  // namespace narfast::onnx
