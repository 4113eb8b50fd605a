// Attention (Bahdanau et al., 2015; Luong et al., 2015): what step j of a decoder reads of the
// encoder's outputs m_t. From its state q_j,
//
//     s_jt = q_j m_t^T                              "dot"
//     s_jt = q_j (m_t W_m)^T                        "general"
//     s_jt = v tanh(q_j W_q + m_t W_m + b_m)^T      "additive"
//
//     a_j = softmax(s_j),   c_j = sum_t a_jt m_t,   o_j = tanh([c_j, q_j] W_c + b_c)
//
// and o_j is what the head sees. q_j is the state after the step, as Luong has it, so that all
// steps of a given output are computed at once.
#pragma once

#include <optional>

#include "elman/dense.hpp"

namespace elman {

template <class T>
void softmax(T* a, Index n) {
    T largest = a[0];
    for (Index i = 1; i < n; ++i) largest = std::max(largest, a[i]);
    for (Index i = 0; i < n; i += Vec<T>::width)
        exp(Vec<T>::load(a + i) - Vec<T>(largest)).store(a + i);
    T sum = T(0);
    for (Index i = 0; i < n; ++i) sum += a[i];
    for (Index i = 0; i < n; ++i) a[i] /= sum;
}

template <class T>
struct PackedAttention {
    PackedDense<T> keys, queries, combine;
    Array<T> v;  // filled up with zeros
};

// What the queries of one sequence read: m_t, and what they are compared with.
template <class T>
struct Memory {
    Index n_steps = 0;
    Matrix<T> values, keys;
    Array<T> values_transposed, keys_transposed;  // packed in panels
};

// The queries of one sequence, one below the other, and what comes of them.
template <class T>
struct Queries {
    Index n = 0;
    Rows<T> states;  // q_j, as far as scores take it: with "additive" q_j W_q
    Rows<T> shares;  // a_j
    Rows<T> contexts;
};

template <class T>
class Attention {
public:
    // add(name, shape) makes room for a parameter and returns where it is.
    template <class AddParameter>
    Attention(const std::string& score, Index memory_width, Index query_width,
              const AddParameter& add)
        : score_(score), memory_width_(memory_width), query_width_(query_width) {
        if (score != "dot" && score != "general" && score != "additive")
            throw std::invalid_argument("elman: there is no attention '" + score + "'");
        if (score == "dot" && memory_width != query_width)
            throw std::invalid_argument("elman: attention 'dot' needs encoder outputs as wide as " +
                                        std::to_string(query_width) + " decoder units, got " +
                                        std::to_string(memory_width));
        if (has_keys()) {
            const Index W_m = add("W_m", {memory_width, query_width});
            const Index b_m = is_additive() ? add("b_m", {query_width}) : -1;
            keys_.emplace(std::vector<Index>{memory_width}, query_width, W_m, b_m);
        }
        if (is_additive()) {
            const Index W_q = add("W_q", {query_width, query_width});
            queries_.emplace(std::vector<Index>{query_width}, query_width, W_q, -1);
            v_ = add("v", {query_width});
        }
        const Index W_c = add("W_c", {memory_width + query_width, query_width});
        const Index b_c = add("b_c", {query_width});
        combine_.emplace(std::vector<Index>{memory_width, query_width}, query_width, W_c, b_c);
    }

    bool has_keys() const { return score_ != "dot"; }
    bool is_additive() const { return score_ == "additive"; }
    Index memory_width() const { return memory_width_; }
    Index query_width() const { return query_width_; }
    Index v_offset() const { return v_; }
    const Dense<T>& keys() const { return *keys_; }
    const Dense<T>& queries() const { return *queries_; }
    const Dense<T>& combine() const { return *combine_; }
    // Of one step of the decoder; the scores come on top.
    Index multiply_adds() const {
        return combine_->multiply_adds() + (is_additive() ? queries_->multiply_adds() : 0);
    }

    void pack(const T* parameters, bool training, PackedAttention<T>& weights) const {
        if (has_keys()) keys_->pack(parameters, training, weights.keys);
        if (is_additive()) queries_->pack(parameters, training, weights.queries);
        combine_->pack(parameters, training, weights.combine);
        if (!is_additive()) return;
        weights.v.assign(std::size_t(packed_columns<T>(query_width_)), T(0));
        std::copy_n(parameters + v_, query_width_, weights.v.begin());
    }

    // To be called before forward, and before backward, with keys and values at hand.
    void pack_keys(Memory<T>& memory) const {
        if (!is_additive())
            pack_transposed(keys_of(memory), memory.n_steps, memory.keys_transposed);
    }
    void pack_values(Memory<T>& memory) const {
        pack_transposed(memory.values.rows(), memory.n_steps, memory.values_transposed);
    }

    void forward(const PackedAttention<T>& weights, const Memory<T>& memory,
                 const Queries<T>& queries) const {
        if (is_additive())
            additive_scores(weights.v.data(), memory, queries);
        else
            multiply_all<T>(all_of(queries.states), queries.n, memory.n_steps,
                            memory.keys_transposed.data(), zeros<T>(), block_of(queries.shares));
        for (Index j = 0; j < queries.n; ++j) softmax(queries.shares.row(j), memory.n_steps);
        const Term<T> shares{queries.shares.data, queries.shares.stride, 1, memory.n_steps};
        multiply_rows_of<T>({&shares, 1}, queries.n, memory.values.rows(), zeros<T>(),
                            queries.contexts);
    }

    // From the gradient of the contexts to those of the states, the keys and the values, and to
    // the part of v's that this sequence has. Without keys of their own theirs are the values'.
    // gradients.shares is room for dL/ds.
    void backward(const PackedAttention<T>& weights, const Memory<T>& memory,
                  const Queries<T>& queries, const Queries<T>& gradients, const Rows<T>& dkeys,
                  const Rows<T>& dvalues, T* dv) const {
        const Index n_steps = memory.n_steps;
        multiply_all<T>(all_of(gradients.contexts), queries.n, n_steps,
                        memory.values_transposed.data(), zeros<T>(), block_of(gradients.shares));
        for (Index j = 0; j < queries.n; ++j) {
            const T* const a = queries.shares.row(j);
            T* const ds = gradients.shares.row(j);
            T mean = T(0);
            for (Index t = 0; t < n_steps; ++t) mean += a[t] * ds[t];
            for (Index t = 0; t < n_steps; ++t) ds[t] = a[t] * (ds[t] - mean);
        }
        const Term<T> shares{queries.shares.data, 1, queries.shares.stride, queries.n};
        multiply_rows_of<T>({&shares, 1}, n_steps, gradients.contexts, zeros<T>(), dvalues);
        if (is_additive())
            return additive_gradients(weights.v.data(), memory, queries, gradients, dkeys, dv);
        const Term<T> ds{gradients.shares.data, gradients.shares.stride, 1, n_steps};
        multiply_rows_of<T>({&ds, 1}, queries.n, keys_of(memory), zeros<T>(), gradients.states);
        const Term<T> ds_transposed{gradients.shares.data, 1, gradients.shares.stride, queries.n};
        const Rows<T>& to = has_keys() ? dkeys : dvalues;
        multiply_rows_of<T>({&ds_transposed, 1}, n_steps, queries.states,
                            has_keys() ? zeros<T>() : block_of(to), to);
    }

private:
    static Block<T> block_of(const Rows<T>& rows) {
        return {rows.data, rows.stride, panel_width<T>};
    }

    // A view of rows as the left operand of a product.
    struct LeftOperand {
        Term<T> term;
        operator Terms<T>() const { return {&term, 1}; }
    };
    static LeftOperand all_of(const Rows<T>& rows) {
        return {{rows.data, rows.stride, 1, rows.width}};
    }

    const Rows<T>& keys_of(const Memory<T>& memory) const {
        return has_keys() ? memory.keys.rows() : memory.values.rows();
    }

    static void pack_transposed(const Rows<T>& rows, Index n_rows, Array<T>& panels) {
        make_room(panels, rows.width * packed_columns<T>(n_rows));
        T* panel = panels.data();
        for (Index row = 0; row < n_rows; row += panel_width<T>)
            panel = pack_panel(rows.row(row), 1, rows.stride, rows.width,
                               std::min(panel_width<T>, n_rows - row),
                               panel_vectors<T>(row, n_rows), panel);
    }

    // As many sums side by side as the widest registers have lanes: all instruction sets add up in
    // the same order.
    using Sums = std::array<Vec<T>, 64 / sizeof(T) / Vec<T>::width>;

    static T total(const Sums& sums) {
        std::array<T, 64 / sizeof(T)> lanes;
        for (std::size_t i = 0; i < sums.size(); ++i)
            sums[i].store(lanes.data() + i * std::size_t(Vec<T>::width));
        for (std::size_t half = lanes.size() / 2; half > 0; half /= 2)
            for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
        return lanes[0];
    }

    void additive_scores(const T* v, const Memory<T>& memory, const Queries<T>& queries) const {
        using V = Vec<T>;
        for (Index j = 0; j < queries.n; ++j)
            for (Index t = 0; t < memory.n_steps; ++t) {
                const T *const q = queries.states.row(j), *const key = memory.keys.row(t);
                Sums sums;
                sums.fill(V::zero());
                for (Index u = 0; u < query_width_; u += V::width) {
                    V& sum = sums[std::size_t(u / V::width) % sums.size()];
                    sum = fma(V::load(v + u), tanh(V::load(q + u) + V::load(key + u)), sum);
                }
                queries.shares.row(j)[t] = total(sums);
            }
    }

    void additive_gradients(const T* v, const Memory<T>& memory, const Queries<T>& queries,
                            const Queries<T>& gradients, const Rows<T>& dkeys, T* dv) const {
        using V = Vec<T>;
        for (Index t = 0; t < memory.n_steps; ++t) std::fill_n(dkeys.row(t), query_width_, T(0));
        for (Index j = 0; j < queries.n; ++j)
            std::fill_n(gradients.states.row(j), query_width_, T(0));
        Array<T> dv_sum(std::size_t(packed_columns<T>(query_width_)));
        for (Index j = 0; j < queries.n; ++j)
            for (Index t = 0; t < memory.n_steps; ++t) {
                const T *const q = queries.states.row(j), *const key = memory.keys.row(t);
                T *const dq = gradients.states.row(j), *const dkey = dkeys.row(t);
                const V ds(gradients.shares.row(j)[t]);
                for (Index u = 0; u < query_width_; u += V::width) {
                    const V a = tanh(V::load(q + u) + V::load(key + u));
                    const V dz = ds * V::load(v + u) * (V(T(1)) - a * a);
                    (V::load(dq + u) + dz).store(dq + u);
                    (V::load(dkey + u) + dz).store(dkey + u);
                    fma(ds, a, V::load(dv_sum.data() + u)).store(dv_sum.data() + u);
                }
            }
        std::copy_n(dv_sum.data(), query_width_, dv);
    }

    std::string score_;
    Index memory_width_, query_width_;
    Index v_ = -1;
    std::optional<Dense<T>> keys_, queries_, combine_;
};

}  // namespace elman
