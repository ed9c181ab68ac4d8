// The exceptions of the core. Each names what was expected, what came, and the remedy;
// the bindings turn them into the classes of `narfast.errors`.
#pragma once

#include <stdexcept>
#include <string>

namespace narfast {

/// A graph that cannot be a network: cyclic, dangling, or beyond the size limit.
struct InvalidGraph : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// A graph that canonicalization still changes after the largest number of rounds.
struct NotSettled : InvalidGraph {
  using InvalidGraph::InvalidGraph;
};

/// A file whose bytes are not what its format promises.
struct CorruptFile : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A setting of the environment that this build or processor cannot follow.
struct BadSetting : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A long loop was asked to stop (Ctrl-C).
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

}  // namespace narfast
