// Matrix products on packed panels; every sum over k runs from k = 0 upwards, one FMA a term.
//
// A panel is a slice of consecutive columns of the right operand B (K x M), two registers wide
// (one, where a last slice fits), stored k by k:
//
//     B = [ panel 0 | panel 1 | ... ],   panel p:  B[0, p], B[1, p], ..., B[K-1, p]
//
// The tile keeps R rows x one panel of the result C in registers while k runs:
//
//     C[r, :] = C0[r, :] + sum_k A[r, k] B[k, :]        r = 0 ... R-1
//
// A is read by broadcast, so it needs no packing, and k may run over several operands in turn
// (x_t, then h_{t-1}) without joining them in memory: each is a Term. A lane is a column of C
// and sums its own terms in the order of k, whatever the other rows, the tile's height, the
// register's width or the thread: that is why results are equal to the bit.
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <type_traits>
#include <utility>
#include <vector>

#include "elman/memory.hpp"
#include "elman/storage.hpp"

namespace elman {

inline constexpr int max_panel_vectors = 2;

template <class T>
inline constexpr Index panel_width = max_panel_vectors * Vec<T>::width;

// Vectors in the panel that begins at a column, of n_columns in all.
template <class T>
inline int panel_vectors(Index first_column, Index n_columns) {
    return n_columns - first_column <= Vec<T>::width ? 1 : max_panel_vectors;
}

// Columns up to whole panels of registers of some width; panels but the last are whole.
inline Index packed_columns(Index n_columns, Index vector_width) {
    const Index width = max_panel_vectors * vector_width;
    const Index last = (n_columns - 1) / width * width;
    return last + (n_columns - last <= vector_width ? vector_width : width);
}
template <class T>
inline Index packed_columns(Index n_columns) {
    return packed_columns(n_columns, Vec<T>::width);
}

// Whole quotients of what is mostly small: the processor takes three times as long to divide
// numbers of 64 bits, as long as a short sum over k.
inline Index quotient(Index a, Index b) {
    if (((a | b) >> 32) == 0) return Index(std::uint32_t(a) / std::uint32_t(b));
    return a / b;
}

// One operand of a sum over k: element (r, k) is data[r * row_stride + k * k_stride].
template <class T>
struct Term {
    const T* data;
    Index row_stride;
    Index k_stride;
    Index depth;
};

// How the rows of A lie. Where the compiler knows the strides a tile does not keep them in
// registers, of which it has too few: a tenth of its time.
enum class Layout {
    strided,
    in_panels,   // as the panels of copy_to_panels: a row is panel_width apart from the next
    transposed,  // k by k: a row is next to the one before, as in TransposedRows
};

namespace detail {

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int max_accumulators = 24;
#else
inline constexpr int max_accumulators = 12;
#endif

inline constexpr int max_rows = 12;
inline constexpr int max_registers_of_a_row = 12;
inline constexpr int max_panels = 4;

// Accumulators, a panel's vectors and one broadcast share the registers: 12 of AVX2's 16 sum.
// Two FMA ports with a latency of 4 cycles need 8 in flight; where rows are few, several
// panels side by side provide them.
inline constexpr bool tile_fits(Index n_rows, Index n_panels, int n_vectors) {
    return n_rows <= max_rows && n_rows * n_panels * n_vectors <= max_accumulators;
}

// Where the operands of a tile lie: strides in elements, between rows and between panels.
template <class T>
struct Block {
    T* data;
    Index row_stride;
    Index panel_stride;

    operator Block<const T>() const { return {data, row_stride, panel_stride}; }
};

template <class T, class W>
struct TileArguments {
    const Term<T>* terms;
    Index n_terms;
    Index first_row;
    Block<const W> panel;
    Block<const T> start;
    Block<T> out;
    Block<const T> scale;  // of the panels' columns, where W has one
    // Weights that are wanted next, and how far to go on through them at each k (in bytes).
    const char* ahead = nullptr;  // not read by tiles of one row
    Index ahead_step = 0;
};

// W is what weights are kept as (storage.hpp).
template <class T, class W, Layout layout, int n_rows, int n_panels, int n_vectors>
void tile(const TileArguments<T, W>& arguments) {
    using V = Vec<T>;
    const Block<const T> start = arguments.start;
    const Block<T> out = arguments.out;
    const W* panel = arguments.panel.data;
    const Index panel_stride = arguments.panel.panel_stride;
    const Index panel_step = arguments.panel.row_stride;
    const char* ahead = arguments.ahead;
    const Index ahead_step = arguments.ahead_step;
    V scale[n_panels][n_vectors] = {};
    if constexpr (std::is_same_v<W, Int8>)
        for (int p = 0; p < n_panels; ++p)
            for (int v = 0; v < n_vectors; ++v)
                scale[p][v] =
                    V::load(arguments.scale.data + p * arguments.scale.panel_stride + v * V::width);
    V sum[n_rows][n_panels][n_vectors];
#pragma GCC unroll 16
    for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 16
        for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 16
            for (int v = 0; v < n_vectors; ++v)
                sum[r][p][v] = V::load(start.data + r * start.row_stride + p * start.panel_stride +
                                       v * V::width);
    for (Index s = 0; s < arguments.n_terms; ++s) {
        const Term<T> term = arguments.terms[s];
        const Index row_stride = layout == Layout::strided     ? term.row_stride
                                 : layout == Layout::in_panels ? panel_width<T>
                                                               : 1;
        const T* a = term.data + arguments.first_row * row_stride;
        for (Index k = 0; k < term.depth; ++k) {
            if constexpr (n_rows > 1) {
                prefetch(ahead);
                ahead += ahead_step;
            }
            V b[n_panels][n_vectors];
#pragma GCC unroll 16
            for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 16
                for (int v = 0; v < n_vectors; ++v)
                    b[p][v] = load_weights(panel + p * panel_stride + v * V::width, scale[p][v]);
#pragma GCC unroll 16
            for (int r = 0; r < n_rows; ++r) {
                const V x = V::broadcast(a + r * row_stride);
#pragma GCC unroll 16
                for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 16
                    for (int v = 0; v < n_vectors; ++v)
                        sum[r][p][v] = fma(x, b[p][v], sum[r][p][v]);
            }
            a += term.k_stride;
            panel += panel_step;
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 16
        for (int p = 0; p < n_panels; ++p)
#pragma GCC unroll 16
            for (int v = 0; v < n_vectors; ++v)
                sum[r][p][v].store(out.data + r * out.row_stride + p * out.panel_stride +
                                   v * V::width);
}

template <class T, class W>
using Tile = void (*)(const TileArguments<T, W>&);

template <class T, class W, Layout layout, int n_rows, int n_panels, int n_vectors>
constexpr Tile<T, W> tile_or_null() {
    if constexpr (tile_fits(n_rows, n_panels, n_vectors))
        return &tile<T, W, layout, n_rows, n_panels, n_vectors>;
    else
        return nullptr;
}

// tiles[n_vectors - 1][n_panels - 1][n_rows - 1]; three panels are taken as two and one.
template <class T, class W = T, Layout layout = Layout::strided>
struct Tiles {
    using ByRows = std::array<Tile<T, W>, max_rows>;

    template <int n_panels, int n_vectors, int... r>
    static constexpr ByRows by_rows(std::integer_sequence<int, r...>) {
        return {tile_or_null<T, W, layout, r + 1, n_panels, n_vectors>()...};
    }
    template <int n_panels, int n_vectors>
    static constexpr ByRows all_rows =
        by_rows<n_panels, n_vectors>(std::make_integer_sequence<int, max_rows>());

    static constexpr ByRows table[max_panel_vectors][3] = {
        {all_rows<1, 1>, all_rows<2, 1>, all_rows<4, 1>},
        {all_rows<1, 2>, all_rows<2, 2>, all_rows<4, 2>}};

    static Tile<T, W> find(Index n_rows, Index n_panels, int n_vectors);
};

// Not inline, so that the tiles are compiled once, with the networks of their type.
template <class T, class W, Layout layout>
Tile<T, W> Tiles<T, W, layout>::find(Index n_rows, Index n_panels, int n_vectors) {
    return table[n_vectors - 1][n_panels == 4 ? 2 : n_panels - 1][std::size_t(n_rows - 1)];
}

// Of one row and as many registers side by side.
template <class T>
struct TilesOfOneRow {
    using ByRegisters = std::array<Tile<T, T>, max_registers_of_a_row>;

    template <int... v>
    static constexpr ByRegisters by_registers(std::integer_sequence<int, v...>) {
        return {&tile<T, T, Layout::strided, 1, v + 1, 1>...};
    }
    static Tile<T, T> find(Index n_registers);
};

template <class T>
Tile<T, T> TilesOfOneRow<T>::find(Index n_registers) {
    static constexpr ByRegisters table =
        by_registers(std::make_integer_sequence<int, max_registers_of_a_row>());
    return table[std::size_t(n_registers - 1)];
}

extern template struct Tiles<float>;
extern template struct Tiles<float, Half>;
extern template struct Tiles<float, Int8>;
extern template struct Tiles<float, float, Layout::in_panels>;
extern template struct Tiles<float, float, Layout::transposed>;
extern template struct Tiles<double>;
extern template struct Tiles<double, double, Layout::in_panels>;
extern template struct Tiles<double, double, Layout::transposed>;
extern template struct TilesOfOneRow<float>;
extern template struct TilesOfOneRow<double>;

template <class T, class W>
Tile<T, W> find_tile(Layout layout, Index n_rows, Index n_panels, int n_vectors) {
    if constexpr (std::is_same_v<T, W>) {
        if (layout == Layout::in_panels)
            return Tiles<T, W, Layout::in_panels>::find(n_rows, n_panels, n_vectors);
        if (layout == Layout::transposed)
            return Tiles<T, W, Layout::transposed>::find(n_rows, n_panels, n_vectors);
    }
    return Tiles<T, W>::find(n_rows, n_panels, n_vectors);
}

inline Index panels_side_by_side(Index n_rows, Index n_panels, int n_vectors) {
    for (const Index candidate : {4, 2})
        if (candidate <= n_panels && tile_fits(n_rows, candidate, n_vectors)) return candidate;
    return 1;
}

}  // namespace detail

using detail::Block;

// What sums that begin with nothing start from.
template <class T>
inline Block<const T> zeros() {
    static constexpr std::array<T, panel_width<T>> row{};
    return {row.data(), 0, 0};
}

// The left operand of a product: rows first_row, first_row + 1, ... of terms side by side.
template <class T>
struct Terms {
    const Term<T>* terms;
    Index n_terms;
    Index first_row = 0;

    Index depth() const {
        Index depth = 0;
        for (Index s = 0; s < n_terms; ++s) depth += terms[s].depth;
        return depth;
    }
    Layout layout() const {
        const auto all = [&](const auto& holds) {
            return std::all_of(terms, terms + n_terms, holds);
        };
        if (all([](const Term<T>& term) { return term.row_stride == panel_width<T>; }))
            return Layout::in_panels;
        return all([](const Term<T>& term) { return term.row_stride == 1; }) ? Layout::transposed
                                                                             : Layout::strided;
    }
};

// How n rows are dealt out over tiles: evenly, so that no tile is left with too few rows to fill
// the FMA ports.
struct TileRows {
    Index n_tiles;

    TileRows(Index n_rows, int n_vectors) : n_tiles(n_rows > 0 ? 1 : 0), size_(n_rows) {
        if (n_rows <= tallest(n_vectors)) return;
        n_tiles = (n_rows + tallest(n_vectors) - 1) / tallest(n_vectors);
        size_ = quotient(n_rows, n_tiles);
        n_taller_ = n_rows - size_ * n_tiles;
    }

    static constexpr Index tallest(int n_vectors) {
        return std::min(detail::max_rows, detail::max_accumulators / n_vectors);
    }
    Index size(Index tile) const { return size_ + (tile < n_taller_ ? 1 : 0); }
    Index last_size() const { return size(n_tiles - 1); }

    // Calls function(first row, number of rows) for each tile.
    template <class Function>
    void for_each(const Function& function) const {
        for (Index tile = 0, row = 0; tile < n_tiles; row += size(tile), ++tile)
            function(row, size(tile));
    }

private:
    Index size_, n_taller_ = 0;
};

namespace detail {

// One row, whose few products are over sooner than what deals out many rows.
template <class T, class W>
void multiply_row(int n_vectors, Index n_panels, TileArguments<T, W>& at) {
    static_assert(tile_fits(1, max_panels, max_panel_vectors));
    while (n_panels > 0) {
        const Index side_by_side = n_panels >= 4 ? 4 : n_panels >= 2 ? 2 : 1;
        Tiles<T, W>::find(1, side_by_side, n_vectors)(at);
        at.panel.data += side_by_side * at.panel.panel_stride;
        at.scale.data += side_by_side * at.scale.panel_stride;
        at.start.data += side_by_side * at.start.panel_stride;
        at.out.data += side_by_side * at.out.panel_stride;
        n_panels -= side_by_side;
    }
}

// What multiply does where the panels fit the first-level cache.
template <class T, class W>
void multiply_shallow(const Terms<T>& a, Index n_rows, int n_vectors, Index n_panels,
                      const Block<const W>& panel, const Block<const T>& start, const Block<T>& out,
                      const Block<const T>& scale) {
    if (n_rows == 0) return;
    TileArguments<T, W> at{a.terms, a.n_terms, a.first_row, panel, start, out, scale};
    if (n_rows == 1) {
        multiply_row(n_vectors, n_panels, at);
        return;
    }
    const TileRows tiles(n_rows, n_vectors);
    const Layout layout = a.layout();
    const Index depth = a.depth(), row_bytes = n_vectors * Vec<T>::width * Index(sizeof(W));
    at.ahead_step = quotient(row_bytes + tiles.n_tiles - 1, tiles.n_tiles);
    for (Index p = 0, side_by_side; p < n_panels; p += side_by_side) {
        side_by_side = panels_side_by_side(tiles.size(0), n_panels - p, n_vectors);
        at.panel.data = panel.data + p * panel.panel_stride;
        at.scale.data = scale.data + p * scale.panel_stride;
        // The panels that follow, or the next slice of the first ones: each tile asks for its share
        // at an even pace, so that they come from the third-level cache while others are at work.
        at.ahead = reinterpret_cast<const char*>(
            p + side_by_side < n_panels ? at.panel.data + side_by_side * panel.panel_stride
                                        : panel.data + depth * panel.row_stride);
        tiles.for_each([&](Index row, Index rows) {
            at.first_row = a.first_row + row;
            at.start.data = start.data + row * start.row_stride + p * start.panel_stride;
            at.out.data = out.data + row * out.row_stride + p * out.panel_stride;
            find_tile<T, W>(layout, rows, side_by_side, n_vectors)(at);
            at.ahead += depth * at.ahead_step;
        });
    }
}

}  // namespace detail

// out = start + sum over the terms of A times n_panels panels, for n_rows rows. Where k runs deep
// and there are several tiles of rows, k is cut into slices that keep a slice of a panel in the
// first-level cache and that of A in the second; between slices the sums wait in out, which costs
// no bit.
template <class T, class W = T>
void multiply(const Terms<T>& a, Index n_rows, int n_vectors, Index n_panels,
              const Block<const W>& panel, const Block<const T>& start, const Block<T>& out,
              const Block<const T>& scale = {nullptr, 0, 0}) {
    constexpr Index max_depth = 256, max_terms = 32;
    if (n_rows <= TileRows::tallest(n_vectors) || a.depth() <= max_depth) {
        detail::multiply_shallow(a, n_rows, n_vectors, n_panels, panel, start, out, scale);
        return;
    }
    std::array<Term<T>, max_terms> slice;
    Block<const W> b = panel;
    Block<const T> from = start;
    for (Index s = 0, used = 0; s < a.n_terms;) {
        Index n_terms = 0, depth = 0;
        while (s < a.n_terms && n_terms < max_terms && depth < max_depth) {
            Term<T>& part = slice[std::size_t(n_terms++)] = a.terms[s];
            part.data += used * part.k_stride;
            part.depth = std::min(part.depth - used, max_depth - depth);
            depth += part.depth;
            used += part.depth;
            if (used == a.terms[s].depth) {
                ++s;
                used = 0;
            }
        }
        detail::multiply_shallow<T>({slice.data(), n_terms, a.first_row}, n_rows, n_vectors,
                                    n_panels, b, from, out, scale);
        b.data += depth * panel.row_stride;
        from = {out.data, out.row_stride, out.panel_stride};
    }
}

// out = start + A b, for a right operand b that is used once and so is read where it is, row by
// row.
template <class T>
void multiply_rows_of(const Terms<T>& a, Index n_rows, const Rows<const T>& b,
                      const Block<const T>& start, const Rows<T>& out) {
    for (Index column = 0; column < b.width;) {
        const int n_vectors = panel_vectors<T>(column, b.width);
        const Index width = n_vectors * Vec<T>::width;
        const Index n_panels = std::max<Index>(quotient(b.width - column, width), 1);
        const Index p = column / panel_width<T>;
        multiply<T>(a, n_rows, n_vectors, n_panels, {b.data + column, b.stride, width},
                    {start.data + p * start.panel_stride, start.row_stride, start.panel_stride},
                    {out.data + column, out.stride, width});
        column += n_panels * width;
    }
}

// The same of one row of A and a b that is no wider than a tile of one row.
template <class T>
void multiply_row_of(const Terms<T>& a, const Rows<const T>& b, const T* start, T* out) {
    constexpr Index width = Vec<T>::width;
    detail::TilesOfOneRow<T>::find((b.width + width - 1) / width)({a.terms,
                                                                   a.n_terms,
                                                                   a.first_row,
                                                                   {b.data, b.stride, width},
                                                                   {start, 0, width},
                                                                   {out, 0, width},
                                                                   {}});
}

// All n_columns columns of A B, with B packed panel by panel. The panel_strides of start and out
// are the distances between the first columns of two panels.
template <class T>
void multiply_all(const Terms<T>& a, Index n_rows, Index n_columns, const T* panels,
                  const Block<const T>& start, const Block<T>& out) {
    if (n_rows == 1 && n_columns <= panel_width<T>)
        return multiply_row_of<T>(a, {panels, packed_columns<T>(n_columns), n_columns}, start.data,
                                  out.data);
    const Index depth = a.depth();
    for (Index column = 0; column < n_columns;) {
        const int n_vectors = panel_vectors<T>(column, n_columns);
        const Index width = n_vectors * Vec<T>::width;
        const Index n_panels = std::max<Index>(quotient(n_columns - column, width), 1);
        const Index p = column / panel_width<T>;
        multiply<T>(a, n_rows, n_vectors, n_panels, {panels + column * depth, width, width * depth},
                    {start.data + p * start.panel_stride, start.row_stride, start.panel_stride},
                    {out.data + p * out.panel_stride, out.row_stride, out.panel_stride});
        column += n_panels * width;
    }
}

// The rows of x, and if asked for a column of ones behind them, as add_outer reads them: by tile of
// columns, each a Term whose rows are the columns. Tiles are read where x lies, but for the one
// that ends with the ones, and where the rows lie on more pages than the processor keeps at hand
// the addresses of: these are copied, row by row the columns of a tile.
template <class T>
class TransposedRows {
public:
    void assign(const Rows<const T>& x, Index n_rows, bool with_ones) {
        constexpr Index bytes_at_hand = 64 * 4096;
        const bool is_spread = n_rows * std::abs(x.stride) * Index(sizeof(T)) > bytes_at_hand;
        x_ = x;
        depth_ = n_rows;
        n_columns_ = x.width + (with_ones ? 1 : 0);
        const TileRows tiles(n_columns_, max_panel_vectors);
        first_copied_ = is_spread ? 0 : n_columns_ - (with_ones ? tiles.last_size() : 0);
        make_room(copied_, depth_ * (n_columns_ - first_copied_));
        tiles.for_each([&](Index column, Index n) {
            if (column >= first_copied_) copy(column, n);
        });
    }
    Index n_columns() const { return n_columns_; }
    Index depth() const { return depth_; }
    Term<T> tile(Index column, Index n) const {
        if (column < first_copied_) return {x_.data + column, 1, x_.stride, depth_};
        return {copied_.data() + (column - first_copied_) * depth_, 1, n, depth_};
    }

private:
    // Whole registers: what they carry too much is overwritten by what follows, or falls into the
    // slack behind an array.
    void copy(Index column, Index n) {
        const Index n_of_x = std::min(n, x_.width - column);
        const T* from = x_.data + column;
        T* to = copied_.data() + (column - first_copied_) * depth_;
        for (Index k = 0; k < depth_; ++k, from += x_.stride, to += n) {
            for (Index i = 0; i < n_of_x; i += Vec<T>::width) Vec<T>::load(from + i).store(to + i);
            if (n_of_x < n) to[n - 1] = T(1);
        }
    }

    Rows<const T> x_;
    Index depth_ = 0, n_columns_ = 0, first_copied_ = 0;
    Array<T> copied_;
};

// out += x^T dz for n_panels panels of dz.
template <class T>
void add_outer(const TransposedRows<T>& x, int n_vectors, Index n_panels, const Block<const T>& dz,
               const Block<T>& out) {
    if (x.depth() == 0) return;
    TileRows(x.n_columns(), max_panel_vectors).for_each([&](Index column, Index n) {
        const Term<T> term = x.tile(column, n);
        for (Index p = 0, side_by_side; p < n_panels; p += side_by_side) {
            side_by_side = detail::panels_side_by_side(n, n_panels - p, n_vectors);
            const Block<T> sums{out.data + column * out.row_stride + p * out.panel_stride,
                                out.row_stride, out.panel_stride};
            // The sums of the next tile come while this one is at work.
            const T* const next = p + side_by_side < n_panels
                                      ? sums.data + side_by_side * out.panel_stride
                                      : out.data + (column + n) * out.row_stride;
            const Index bytes = n * out.row_stride * Index(sizeof(T));
            detail::Tiles<T, T, Layout::transposed>::find(n, side_by_side, n_vectors)(
                {&term,
                 1,
                 0,
                 {dz.data + p * dz.panel_stride, dz.row_stride, dz.panel_stride},
                 {sums.data, sums.row_stride, sums.panel_stride},
                 sums,
                 {},
                 reinterpret_cast<const char*>(next),
                 quotient(bytes + x.depth() - 1, x.depth())});
        }
    });
}

// Copies rows of x into panels, [columns 0 ... of row 0, of row 1, ...], then the next columns,
// behind what `to` holds, and adds them to terms. Returns the end. Nothing beside the rows is read:
// another thread may be writing there. Not inlined: where it was, copying took half as long again.
template <class T>
[[gnu::noinline]] T* copy_to_panels(const Rows<const T>& x, Index n_rows, T* to,
                                    std::vector<Term<T>>& terms) {
    for (Index column = 0; column < x.width; column += panel_width<T>) {
        const Index n = std::min(panel_width<T>, x.width - column);
        terms.push_back({to, panel_width<T>, 1, n});
        for (Index r = 0; r < n_rows; ++r, to += panel_width<T>) {
            const T* const from = x.row(r) + column;
            Index i = 0;
            for (; i + Vec<T>::width <= n; i += Vec<T>::width) Vec<T>::load(from + i).store(to + i);
            for (; i < n; ++i) to[i] = from[i];
        }
    }
    return to;
}

// Packs columns [first_column, first_column + n_columns) of B, of which element (k, column) is
// b[k * row_stride + column * column_stride], as one panel, behind what else it holds: the
// panel's width is n_vectors registers, filled up with zeros. Returns the end.
template <class T>
T* pack_panel(const T* b, Index row_stride, Index column_stride, Index depth, Index n_columns,
              int n_vectors, T* panel) {
    constexpr Index cached_rows = 64;
    const Index width = n_vectors * Vec<T>::width;
    if (column_stride == 1) {
        for (Index k = 0; k < depth; ++k, panel += width)
            std::fill(std::copy_n(b + k * row_stride, n_columns, panel), panel + width, T(0));
        return panel;
    }
    // Along the columns, a few rows at a time: their elements are neighbours where B is the
    // transpose of what is packed, and the next row's may lie in the same set of the cache.
    if (n_columns < width) std::fill_n(panel, depth * width, T(0));
    for (Index first = 0; first < depth; first += cached_rows) {
        const Index end = std::min(first + cached_rows, depth);
        for (Index c = 0; c < n_columns; ++c)
            for (Index k = first; k < end; ++k)
                panel[k * width + c] = b[k * row_stride + c * column_stride];
    }
    return panel + depth * width;
}

}  // namespace elman
