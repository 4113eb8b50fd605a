// A dense layer: y = h W + b; b may be missing.
//
//     dh = dy W^T,   dW = sum h^T dy,   db = sum dy
//
// Where a non-linearity follows it is relu(y) = max(y, 0), in the place of y, with dL/dy = 0 where
// it is not above zero.
#pragma once

#include "elman/panel.hpp"
#include "elman/tape.hpp"
#include "elman/threads.hpp"

namespace elman {

template <class T>
struct PackedDense {
    Array<T> panels, bias;
    std::array<Array<T>, 3> transposed;
};

// y <- relu(y) in some rows, which have room for whole registers.
template <class T>
void rectify(Index first_row, Index n_rows, const Rows<T>& y) {
    for (Index row = first_row; row < first_row + n_rows; ++row)
        for (Index j = 0; j < y.width; j += Vec<T>::width)
            max(Vec<T>::load(y.row(row) + j), Vec<T>::zero()).store(y.row(row) + j);
}

// From dL/d(relu(y)) to dL/dy, in its place.
template <class T>
void rectify_gradient(Index first_row, Index n_rows, const Rows<T>& y, const Rows<T>& dy) {
    for (Index row = first_row; row < first_row + n_rows; ++row)
        for (Index j = 0; j < y.width; j += Vec<T>::width)
            where_positive(Vec<T>::load(y.row(row) + j), Vec<T>::load(dy.row(row) + j))
                .store(dy.row(row) + j);
}

template <class T>
class Dense {
public:
    // b_offset is negative without a b.
    Dense(std::vector<Index> input_widths, Index n_outputs, Index W_offset, Index b_offset)
        : input_widths_(std::move(input_widths)),
          n_outputs_(n_outputs),
          W_offset_(W_offset),
          b_offset_(b_offset) {
        for (const Index width : input_widths_) input_width_ += width;
    }

    Index n_outputs() const { return n_outputs_; }
    Index multiply_adds() const { return input_width_ * packed_columns<T>(n_outputs_); }

    void pack(const T* parameters, bool training, PackedDense<T>& weights) const {
        const Index columns = packed_columns<T>(n_outputs_);
        weights.panels.resize(std::size_t(input_width_ * columns));
        weights.bias.resize(std::size_t(columns));
        const T* const W = parameters + W_offset_;
        pack_all(W, n_outputs_, 1, input_width_, n_outputs_, weights.panels.data());
        if (b_offset_ >= 0)
            pack_all(parameters + b_offset_, 0, 1, 1, n_outputs_, weights.bias.data());
        if (!training) return;
        const T* part_W = W;
        for (std::size_t part = 0; part < input_widths_.size(); ++part) {
            const Index width = input_widths_[part];
            weights.transposed[part].resize(std::size_t(n_outputs_ * packed_columns<T>(width)));
            pack_all(part_W, 1, n_outputs_, n_outputs_, width, weights.transposed[part].data());
            part_W += width * n_outputs_;
        }
    }

    void forward(Index first_row, Index n_rows, const Features<const T>& h,
                 const PackedDense<T>& weights, const Rows<T>& y) const {
        std::array<Term<T>, 3> terms;
        for (Index part = 0; part < h.n_parts; ++part)
            terms[std::size_t(part)] = {h[part].data, h[part].stride, 1, h[part].width};
        multiply_all<T>({terms.data(), h.n_parts, first_row}, n_rows, n_outputs_,
                        weights.panels.data(), {weights.bias.data(), 0, panel_width<T>},
                        {y.row(first_row), y.stride, panel_width<T>});
    }

    void backward(Index first_row, Index n_rows, const Rows<const T>& dy,
                  const PackedDense<T>& weights, const Features<T>& dh) const {
        const Term<T> term{dy.data, dy.stride, 1, n_outputs_};
        for (Index part = 0; part < dh.n_parts; ++part)
            multiply_all<T>({&term, 1, first_row}, n_rows, dh[part].width,
                            weights.transposed[std::size_t(part)].data(), zeros<T>(),
                            {dh[part].row(first_row), dh[part].stride, panel_width<T>});
    }

    // Rows first_row to first_row + n_rows, from the last to the first if backwards; of the outputs
    // part number task of n_parts.
    void gradient(Index first_row, Index n_rows, bool backwards, Pass pass,
                  const Features<const T>& h, const Rows<const T>& dy, T* gradient,
                  Control& control, Index task = 0, Index n_parts = 1) const {
        const Index n_panels = (n_outputs_ + panel_width<T> - 1) / panel_width<T>;
        const Range panels = Range{0, n_panels}.part(task, n_parts);
        if (panels.size() == 0) return;
        const Index columns = packed_columns<T>(std::min(n_outputs_, panels.end * panel_width<T>)) -
                              panels.begin * panel_width<T>;
        Array<T> sums(std::size_t((input_width_ + 1) * columns));
        if (!pass.begins) exchange(panels, gradient, sums.data(), false);
        TransposedRows<T> operand;
        for (Index done = 0; done < n_rows; done += longest_run) {
            const Index n = std::min(longest_run, n_rows - done);
            const Index row = backwards ? first_row + n_rows - done - n : first_row + done;
            const Rows<const T> dy_rows = in_order(dy, row, n, backwards);
            Index first_sum = 0;
            for (Index part = 0; part < h.n_parts; first_sum += h[part].width, ++part) {
                operand.assign(in_order(h[part], row, n, backwards), n, part + 1 == h.n_parts);
                add_products(panels, operand, first_sum, dy_rows, sums.data(), control);
            }
        }
        exchange(panels, gradient, sums.data(), true);
    }

private:
    // Calls function(first column, registers, first sum) for panels whose sums, those of the inputs
    // and of the ones behind them, stand one after another.
    template <class Function>
    void for_each_panel(Range panels, const Function& function) const {
        Index first = 0;
        for (Index p = panels.begin; p < panels.end; ++p) {
            const int n_vectors = panel_vectors<T>(p * panel_width<T>, n_outputs_);
            function(p * panel_width<T>, n_vectors, first);
            first += (input_width_ + 1) * n_vectors * Vec<T>::width;
        }
    }

    void add_products(Range panels, const TransposedRows<T>& operand, Index first_sum,
                      const Rows<const T>& dy, T* sums, Control& control) const {
        for_each_panel(panels, [&](Index column, int n_vectors, Index first) {
            const Index width = n_vectors * Vec<T>::width;
            add_outer<T>(operand, n_vectors, 1, {dy.data + column, dy.stride, 0},
                         {sums + first + first_sum * width, width, 0});
            control.poll(operand.depth() * operand.n_columns() * width);
        });
    }

    // Between the sums of some panels and the gradient.
    void exchange(Range panels, T* gradient, T* sums, bool to_gradient) const {
        for_each_panel(panels, [&](Index column, int n_vectors, Index first) {
            const Index n = std::min(panel_width<T>, n_outputs_ - column);
            const auto copy = [&](T* weights, T* row) {
                to_gradient ? std::copy_n(row, n, weights) : std::copy_n(weights, n, row);
            };
            T* row = sums + first;
            for (Index k = 0; k < input_width_; ++k, row += n_vectors * Vec<T>::width)
                copy(gradient + W_offset_ + k * n_outputs_ + column, row);
            if (b_offset_ >= 0) copy(gradient + b_offset_ + column, row);
        });
    }

    static Rows<const T> in_order(const Rows<const T>& rows, Index first, Index n, bool backwards) {
        return backwards ? rows.reversed(first, n)
                         : Rows<const T>{rows.row(first), rows.stride, rows.width};
    }

    static void pack_all(const T* b, Index row_stride, Index column_stride, Index depth,
                         Index n_columns, T* panel) {
        for (Index column = 0; column < n_columns; column += panel_width<T>)
            panel = pack_panel(b + column * column_stride, row_stride, column_stride, depth,
                               std::min(panel_width<T>, n_columns - column),
                               panel_vectors<T>(column, n_columns), panel);
    }

    std::vector<Index> input_widths_;
    Index n_outputs_, W_offset_, b_offset_;
    Index input_width_ = 0;
};

}  // namespace elman
