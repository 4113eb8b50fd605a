// The cells there are. A new cell is a file in cell/ and a line here.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "elman/cell/gru.hpp"
#include "elman/cell/lstm.hpp"
#include "elman/cell/min_gru.hpp"
#include "elman/cell/min_lstm.hpp"
#include "elman/cell/simple.hpp"
#include "elman/lanes.hpp"
#include "elman/transposed.hpp"

namespace elman {

struct CellOptions {
    std::string cell;        // "simple", "gru", "lstm", "min_gru", "min_lstm"
    std::string activation;  // of the simple cell: "tanh", "relu", "identity"
    bool reset_after;        // of the GRU
};

// What the parameters of a cell look like, beside n_inputs and n_units.
struct CellLayout {
    Index n_columns;  // of n_units each, in W_xh, W_hh and b_h
    bool has_recurrent_weights;
    bool has_recurrent_bias;
    bool has_cell_state;
    Index forget_column;  // whose bias starts at one; -1 without one
};

namespace detail {

template <class Cell, class = void>
struct ForgetColumn : std::integral_constant<Index, -1> {};
template <class Cell>
struct ForgetColumn<Cell, std::void_t<decltype(Cell::forget_column)>>
    : std::integral_constant<Index, Cell::forget_column> {};

template <class Cell>
struct CellType {
    using type = Cell;
};

}  // namespace detail

// Calls function(CellType<Cell>) for the cell that the options name.
template <class Function>
auto with_cell(const CellOptions& options, const Function& function) {
    using detail::CellType;
    if (options.cell == "lstm") return function(CellType<Lstm>());
    if (options.cell == "gru" && options.reset_after) return function(CellType<GruResetAfter>());
    if (options.cell == "gru") return function(CellType<GruResetBefore>());
    if (options.cell == "min_gru") return function(CellType<MinGru>());
    if (options.cell == "min_lstm") return function(CellType<MinLstm>());
    if (options.cell == "simple" && options.activation == "tanh")
        return function(CellType<Simple<Tanh>>());
    if (options.cell == "simple" && options.activation == "relu")
        return function(CellType<Simple<Relu>>());
    if (options.cell == "simple" && options.activation == "identity")
        return function(CellType<Simple<Identity>>());
    throw std::invalid_argument("elman: there is no cell '" + options.cell + "' with activation '" +
                                options.activation + "'");
}

inline CellLayout cell_layout(const CellOptions& options) {
    return with_cell(options, [](auto type) {
        using Cell = typename decltype(type)::type;
        CellLayout layout{0, has_recurrent_weights<Cell>, Cell::has_recurrent_bias,
                          Cell::has_cell_state, detail::ForgetColumn<Cell>::value};
        for (const Gate& gate : Cell::gates)
            layout.n_columns = std::max<Index>(layout.n_columns, gate.column + 1);
        return layout;
    });
}

template <class T>
std::unique_ptr<Recurrence<T>> make_recurrence(const CellOptions& options, RecurrenceShape shape) {
    return with_cell(options, [&](auto type) -> std::unique_ptr<Recurrence<T>> {
        using Cell = typename decltype(type)::type;
        if constexpr (Cell::n_phases == 1) {
            if (SmallRecurrenceOf<Cell, T>::suits(shape))
                return std::make_unique<SmallRecurrenceOf<Cell, T>>(std::move(shape));
            if (TransposedRecurrenceOf<Cell, T>::suits(shape))
                return std::make_unique<TransposedRecurrenceOf<Cell, T>>(std::move(shape));
        }
        return std::make_unique<NarrowRecurrenceOf<Cell, T>>(std::move(shape));
    });
}

extern template std::unique_ptr<Recurrence<float>> make_recurrence(const CellOptions&,
                                                                   RecurrenceShape);
extern template std::unique_ptr<Recurrence<double>> make_recurrence(const CellOptions&,
                                                                    RecurrenceShape);

}  // namespace elman
