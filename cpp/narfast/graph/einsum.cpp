#include "narfast/graph/einsum.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <string>

namespace narfast {
namespace {

// Axes are letters of the equation; those of an ellipsis are numbered below all letters.
using Labels = std::vector<char>;

constexpr std::size_t kMaxOperands = 16;
constexpr std::size_t kMaxEquation = 1000;
constexpr int kMaxRank = 16;

bool contains(const Labels& labels, char label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

std::vector<std::string> split_terms(std::string_view left) {
  std::vector<std::string> terms(1);
  for (const char c : left) {
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  }
  return terms;
}

int letters_of(std::string_view term) {
  return static_cast<int>(std::count_if(term.begin(), term.end(), [](char c) { return c != '.'; }));
}

// The labels of a term whose ellipsis stands for the last `hidden` of `widest` axes.
Labels spread(std::string_view term, int hidden, int widest) {
  const std::size_t dots = term.find("...");
  Labels labels(term.begin(), dots == std::string_view::npos
                                  ? term.end()
                                  : term.begin() + static_cast<std::ptrdiff_t>(dots));
  if (dots == std::string_view::npos) return labels;
  for (int i = widest - hidden; i < widest; ++i) labels.push_back(static_cast<char>(i + 1));
  labels.insert(labels.end(), term.begin() + static_cast<std::ptrdiff_t>(dots) + 3, term.end());
  return labels;
}

struct Term {
  int value;
  Labels labels;
  Labels wide;  // those longer than one element, or of unknown length
};

class Planner {
 public:
  std::optional<std::vector<EinsumStep>> plan(std::string_view equation,
                                              std::span<const std::vector<std::int64_t>> shapes) {
    if (equation.size() > kMaxEquation || shapes.empty() || shapes.size() > kMaxOperands ||
        !read(equation, shapes))
      return std::nullopt;
    next_ = static_cast<int>(shapes.size());
    for (Term& term : terms_) term.value = arrange(term);
    Term result = terms_.front();
    if (terms_.size() == 1 && order_.size() > result_rank_) {
      std::vector<int> axes(order_.size() - result_rank_);
      std::iota(axes.begin(), axes.end(), static_cast<int>(result_rank_));
      result.value = step({EinsumStep::Kind::kSum, result.value, -1, std::move(axes)});
    }
    for (std::size_t i = 1; i < terms_.size(); ++i) result = pair(result, terms_[i], i + 1);
    return std::move(steps_);
  }

 private:
  bool read(std::string_view spelled, std::span<const std::vector<std::int64_t>> shapes) {
    std::string equation;
    std::copy_if(spelled.begin(), spelled.end(), std::back_inserter(equation),
                 [](char c) { return c != ' '; });
    const std::size_t arrow = equation.find("->");
    const auto is_label = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto is_sign = [](char c) { return c == ',' || c == '.' || c == '-' || c == '>'; };
    if (!std::all_of(equation.begin(), equation.end(),
                     [&](char c) { return is_label(c) || is_sign(c); }))
      return false;
    const auto parts = split_terms(std::string_view(equation).substr(0, arrow));
    if (parts.size() != shapes.size()) return false;
    int widest = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const int rank = static_cast<int>(shapes[i].size()), own = letters_of(parts[i]);
      const bool dots = parts[i].find("...") != std::string::npos;
      if (rank > kMaxRank || rank < own || (!dots && rank != own)) return false;
      if (dots) widest = std::max(widest, rank - own);
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      Term term{static_cast<int>(i),
                spread(parts[i], static_cast<int>(shapes[i].size()) - letters_of(parts[i]), widest),
                {}};
      if (term.labels.size() != shapes[i].size()) return false;
      for (std::size_t axis = 0; axis < term.labels.size(); ++axis)
        if (shapes[i][axis] != 1) term.wide.push_back(term.labels[axis]);
      terms_.push_back(std::move(term));
    }
    Labels all;
    for (const Term& term : terms_) all.insert(all.end(), term.labels.begin(), term.labels.end());
    if (arrow != std::string::npos) {
      order_ = spread(std::string_view(equation).substr(arrow + 2), widest, widest);
    } else {
      for (int i = 0; i < widest; ++i) order_.push_back(static_cast<char>(i + 1));
      Labels once;
      for (const char label : all)
        if (label > widest && std::count(all.begin(), all.end(), label) == 1) once.push_back(label);
      std::sort(once.begin(), once.end());
      order_.insert(order_.end(), once.begin(), once.end());
    }
    for (const char label : order_)  // every label of the result once, and known
      if (!contains(all, label) || std::count(order_.begin(), order_.end(), label) != 1)
        return false;
    result_rank_ = order_.size();
    for (const char label : all)
      if (!contains(order_, label)) order_.push_back(label);
    return true;
  }

  int step(EinsumStep made) {
    steps_.push_back(std::move(made));
    return next_++;
  }

  int permute(int value, const Labels& before, const Labels& after) {
    std::vector<int> axes;
    for (const char label : after)
      axes.push_back(
          static_cast<int>(std::find(before.begin(), before.end(), label) - before.begin()));
    return step({EinsumStep::Kind::kPermute, value, -1, std::move(axes)});
  }

  // Brings the axes of an operand into the common order, with its missing axes as axes of length
  // one.
  int arrange(const Term& term) {
    Labels before;  // a diagonal, a label twice in one term, keeps the first
    for (const char label : term.labels)
      if (!contains(before, label)) before.push_back(label);
    for (const char label : order_)
      if (!contains(before, label)) before.push_back(label);
    return permute(term.value, before, order_);
  }

  Term pair(const Term& left, const Term& right, std::size_t later) {
    Labels summed, kept, all;
    for (const char label : order_) {
      if (!contains(left.labels, label) && !contains(right.labels, label)) {
        kept.push_back(label);
        continue;
      }
      const bool needed =
          std::any_of(terms_.begin() + static_cast<std::ptrdiff_t>(later), terms_.end(),
                      [&](const Term& term) { return contains(term.labels, label); });
      const auto place = std::find(order_.begin(), order_.end(), label) - order_.begin();
      const bool is_summed = static_cast<std::size_t>(place) >= result_rank_ && !needed;
      (is_summed ? summed : kept).push_back(label);
      all.push_back(label);
    }
    Term result{-1, {}, {}};
    for (const char label : all) {
      if (contains(summed, label)) continue;
      result.labels.push_back(label);
      if (contains(left.wide, label) || contains(right.wide, label)) result.wide.push_back(label);
    }
    if (summed.empty()) {
      result.value = step({EinsumStep::Kind::kMul, left.value, right.value, {}});
      return result;
    }
    Labels both, own_left, own_right, rest;
    for (const char label : kept) {
      const bool l = contains(left.wide, label), r = contains(right.wide, label);
      (l && r ? both : l ? own_left : r ? own_right : rest).push_back(label);
    }
    const auto place = [&](char label) {
      return std::find(order_.begin(), order_.end(), label) - order_.begin();
    };
    const bool swapped =
        !own_left.empty() && !own_right.empty() && place(own_right.back()) < place(own_left.back());
    if (swapped) std::swap(own_left, own_right);
    const auto joined = [](std::initializer_list<const Labels*> parts) {
      Labels whole;
      for (const Labels* part : parts) whole.insert(whole.end(), part->begin(), part->end());
      return whole;
    };
    const Labels first = joined({&both, &own_left, &summed, &own_right, &rest});
    const Labels second = joined({&both, &summed, &own_right, &own_left, &rest});
    const int a = permute(swapped ? right.value : left.value, order_, first);
    const int b = permute(swapped ? left.value : right.value, order_, second);
    const int product = step({EinsumStep::Kind::kMatmul, a, b, {}});
    result.value = permute(product, first, order_);
    return result;
  }

  std::vector<Term> terms_;
  Labels order_;  // all labels: those of the result, then the contracted ones
  std::size_t result_rank_ = 0;
  int next_ = 0;
  std::vector<EinsumStep> steps_;
};

}  // namespace

std::optional<std::vector<EinsumStep>> einsum_steps(
    std::string_view equation, std::span<const std::vector<std::int64_t>> shapes) {
  return Planner().plan(equation, shapes);
}

}  // namespace narfast
