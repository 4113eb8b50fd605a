// From what an encoder has read to where a decoder starts: each of the decoder's states is one of
// the encoder's final states e_i, or where their widths differ a linear map of it,
//
//     s_i = e_i W_i + b_i
//
// Layer l of the decoder starts from layer l of the encoder, or its last one; of a layer of two
// directions e_i is both states side by side. Without an encoder e_i is the input itself, a vector.
#pragma once

#include <optional>

#include "elman/network.hpp"

namespace elman {

// Rows are sequences in the order of the decoder.
template <class T>
struct BridgeTape {
    Matrix<T> source, dsource;
    std::vector<Matrix<T>> start, dstart;          // of each of the decoder's states
    std::vector<std::array<Matrix<T>, 2>> dparts;  // of what it was made of
};

template <class T>
class Bridge {
public:
    // encoder is null where a vector of n_channels takes its place.
    template <class AddParameter>
    Bridge(const Network<T>* encoder, Index n_channels, const Network<T>& decoder,
           const AddParameter& add) {
        source_width_ = encoder != nullptr ? encoder->state_size() : n_channels;
        for (const State& state : decoder.states()) {
            Link link{encoder != nullptr ? parts_for(*encoder, state)
                                         : std::vector<Range>{{0, n_channels}},
                      {state.offset, state.offset + state.width},
                      std::nullopt};
            std::vector<Index> widths;
            for (const Range& part : link.from) widths.push_back(part.size());
            const bool is_same = widths.size() == 1 && widths.front() == state.width;
            if (!is_same || encoder == nullptr) {
                const Index width = std::accumulate(widths.begin(), widths.end(), Index(0));
                const Index W = add(state.name + ".W", {width, state.width});
                const Index b = add(state.name + ".b", {state.width});
                link.dense.emplace(widths, state.width, W, b);
            }
            links_.push_back(std::move(link));
        }
    }

    Index source_width() const { return source_width_; }

    void pack(const T* parameters, bool training, std::vector<PackedDense<T>>& weights) const {
        weights.resize(links_.size());
        for (std::size_t i = 0; i < links_.size(); ++i)
            if (links_[i].dense) links_[i].dense->pack(parameters, training, weights[i]);
    }

    void resize(Index n_rows, bool training, BridgeTape<T>& tape) const {
        tape.source.resize(n_rows, source_width_);
        tape.start.resize(links_.size());
        tape.dstart.resize(links_.size());
        tape.dparts.resize(links_.size());
        if (training) tape.dsource.resize(n_rows, source_width_);
        for (std::size_t i = 0; i < links_.size(); ++i) {
            const Link& link = links_[i];
            tape.start[i].resize(n_rows, link.to.size());
            if (!training) continue;
            tape.dstart[i].resize(n_rows, link.to.size());
            for (std::size_t p = 0; p < link.from.size(); ++p)
                tape.dparts[i][p].resize(n_rows, link.from[p].size());
        }
    }

    // From tape.source to rows of the decoder's states.
    void forward(Range rows, const std::vector<PackedDense<T>>& weights, BridgeTape<T>& tape,
                 Index state_size, T* states) const {
        for (std::size_t i = 0; i < links_.size(); ++i) {
            const Link& link = links_[i];
            if (link.dense)
                link.dense->forward(rows.begin, rows.size(), sources(link, tape), weights[i],
                                    tape.start[i].rows());
            for (Index r = rows.begin; r < rows.end; ++r)
                std::copy_n(link.dense ? tape.start[i].row(r)
                                       : tape.source.row(r) + link.from.front().begin,
                            link.to.size(), states + r * state_size + link.to.begin);
        }
    }

    // From the gradient of the decoder's states to tape.dsource.
    void backward(Range rows, const std::vector<PackedDense<T>>& weights, const T* dstates,
                  Index state_size, BridgeTape<T>& tape) const {
        for (Index r = rows.begin; r < rows.end; ++r)
            std::fill_n(tape.dsource.row(r), source_width_, T(0));
        for (std::size_t i = 0; i < links_.size(); ++i) {
            const Link& link = links_[i];
            for (Index r = rows.begin; r < rows.end; ++r)
                std::copy_n(dstates + r * state_size + link.to.begin, link.to.size(),
                            tape.dstart[i].row(r));
            Features<T> dparts;
            for (std::size_t p = 0; p < link.from.size(); ++p)
                dparts.add(link.dense ? tape.dparts[i][p].rows() : tape.dstart[i].rows());
            if (link.dense)
                link.dense->backward(rows.begin, rows.size(), tape.dstart[i].rows(), weights[i],
                                     dparts);
            for (Index r = rows.begin; r < rows.end; ++r)
                for (std::size_t p = 0; p < link.from.size(); ++p)
                    add_rows(dparts[Index(p)].row(r), link.from[p].size(),
                             tape.dsource.row(r) + link.from[p].begin);
        }
    }

    Index n_gradient_tasks() const { return Index(links_.size()); }
    void gradient(Index task, Index n_rows, const BridgeTape<T>& tape, T* gradient,
                  Control& control) const {
        const Link& link = links_[std::size_t(task)];
        if (link.dense)
            link.dense->gradient(0, n_rows, false, {}, sources(link, tape),
                                 tape.dstart[std::size_t(task)].rows(), gradient, control);
    }

private:
    struct Link {
        std::vector<Range> from;  // columns of the source, of one direction or two
        Range to;                 // of the decoder's states
        std::optional<Dense<T>> dense;
    };

    static std::vector<Range> parts_for(const Network<T>& encoder, const State& state) {
        const Index layer = std::min(state.layer, encoder.n_layers() - 1);
        std::vector<Range> parts;
        for (const State& from : encoder.states())
            if (from.layer == layer && from.is_cell_state == state.is_cell_state)
                parts.push_back({from.offset, from.offset + from.width});
        return parts;
    }

    static Features<const T> sources(const Link& link, const BridgeTape<T>& tape) {
        const Rows<T>& source = tape.source.rows();
        Features<const T> parts;
        for (const Range& part : link.from)
            parts.add({source.data + part.begin, source.stride, part.size()});
        return parts;
    }

    std::vector<Link> links_;
    Index source_width_ = 0;
};

}  // namespace elman
