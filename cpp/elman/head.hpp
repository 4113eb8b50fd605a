// What stands behind the last layer: a dense layer, or before it a hidden one with relu:
//
//     y = v W + b          y = relu(v W_1 + b_1) W + b
//
// where v are the last layer's outputs h, or [h, x] with the inputs of the same step.
#pragma once

#include <numeric>
#include <optional>
#include <string>

#include "elman/dense.hpp"

namespace elman {

template <class T>
struct PackedHead {
    PackedDense<T> hidden, output;
};

// The hidden layer of one pass, by row of the outputs.
template <class T>
struct HeadRows {
    Matrix<T> hidden, dhidden;
};

template <class T>
class Head {
public:
    // Without a hidden layer where n_hidden is 0. add(name, shape) adds a parameter and returns
    // where it begins in the flat vector.
    template <class Add>
    Head(const std::vector<Index>& input_widths, Index n_hidden, Index n_outputs, const Add& add)
        : hidden_(n_hidden > 0 ? std::optional(dense("head.0.", input_widths, n_hidden, add))
                               : std::nullopt),
          output_(dense("head.", hidden_ ? std::vector<Index>{n_hidden} : input_widths, n_outputs,
                        add)) {}

    Index multiply_adds() const {
        return output_.multiply_adds() + (hidden_ ? hidden_->multiply_adds() : 0);
    }

    void pack(const T* parameters, bool training, PackedHead<T>& weights) const {
        if (hidden_) hidden_->pack(parameters, training, weights.hidden);
        output_.pack(parameters, training, weights.output);
    }

    void resize(Index n_rows, bool training, HeadRows<T>& rows) const {
        if (!hidden_) return;
        rows.hidden.resize(n_rows, hidden_->n_outputs());
        if (training) rows.dhidden.resize(n_rows, hidden_->n_outputs());
    }

    void forward(Index first_row, Index n_rows, const Features<const T>& v,
                 const PackedHead<T>& weights, const HeadRows<T>& rows, const Rows<T>& y) const {
        if (hidden_) {
            hidden_->forward(first_row, n_rows, v, weights.hidden, rows.hidden.rows());
            rectify(first_row, n_rows, rows.hidden.rows());
        }
        output_.forward(first_row, n_rows, hidden_ ? Features<const T>(rows.hidden.rows()) : v,
                        weights.output, y);
    }

    void backward(Index first_row, Index n_rows, const Rows<const T>& dy,
                  const PackedHead<T>& weights, const HeadRows<T>& rows,
                  const Features<T>& dv) const {
        if (!hidden_) {
            output_.backward(first_row, n_rows, dy, weights.output, dv);
            return;
        }
        output_.backward(first_row, n_rows, dy, weights.output, Features<T>(rows.dhidden.rows()));
        rectify_gradient(first_row, n_rows, rows.hidden.rows(), rows.dhidden.rows());
        hidden_->backward(first_row, n_rows, rows.dhidden.rows(), weights.hidden, dv);
    }

    // Of the output the first piece, of the hidden layer n_parts more.
    Index n_gradient_tasks(Index n_parts) const { return hidden_ ? 1 + n_parts : 1; }
    void gradient(Index task, Index n_parts, Range range, bool backwards, Pass pass,
                  const Features<const T>& v, const HeadRows<T>& rows, const Rows<const T>& dy,
                  T* gradient, Control& control) const {
        if (task == 0)
            output_.gradient(range.begin, range.size(), backwards, pass,
                             hidden_ ? Features<const T>(rows.hidden.rows()) : v, dy, gradient,
                             control);
        else
            hidden_->gradient(range.begin, range.size(), backwards, pass, v, rows.dhidden.rows(),
                              gradient, control, task - 1, n_parts);
    }

private:
    template <class Add>
    static Dense<T> dense(const std::string& prefix, const std::vector<Index>& input_widths,
                          Index n_outputs, const Add& add) {
        const Index n_inputs = std::accumulate(input_widths.begin(), input_widths.end(), Index(0));
        const Index W = add(prefix + "W", {n_inputs, n_outputs});
        return Dense<T>(input_widths, n_outputs, W, add(prefix + "b", {n_outputs}));
    }

    std::optional<Dense<T>> hidden_;
    Dense<T> output_;
};

}  // namespace elman
