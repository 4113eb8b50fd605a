// The networks of a fleet, as one: layers and a head whose every number is a register, in which
// each network has a lane. What Network (network.hpp) does, for networks of its plain kind.
#pragma once

#include "elman/fleet/layer.hpp"
#include "elman/network.hpp"

namespace elman::fleet {

template <class T>
struct Workspace {
    LaneBatch<T> batch;
    RecurrentRuns runs;
    Array<T> x;
    std::vector<Tape<T>> tapes;
    std::vector<Array<T>> dh;  // dL/dh of each layer, at each step
    Array<T> ends, dends;      // last states of the last layer and dL/d(them), by place
    Array<T> outputs, doutputs, head_transposed;
    Array<T> parameters, gradient;
};

// An element at an index of an array of registers, for one lane.
template <class T>
T& lane_of(Array<T>& registers, Index i, Index lane) {
    return registers[std::size_t(i * n_lanes<T> + lane)];
}

// Whether a network has nothing that only Network can do.
inline bool is_plain(const NetworkOptions& options) {
    const std::vector<bool>& both = options.bidirectional;
    return std::count(both.begin(), both.end(), true) == 0 && options.n_tokens == 0 &&
           !options.residual && options.missing == "none" && !options.layer_norm &&
           options.input_layer == 0 && options.head_layer == 0 && !options.head_inputs &&
           options.branch_step == 0;
}

template <class T>
class Stack {
public:
    // Throws invalid_argument where the network is not plain.
    explicit Stack(const Network<T>& network) : network_(network), options_(network.options()) {
        if (!is_plain(options_))
            throw std::invalid_argument(
                "elman: a fleet is of networks of one direction, without tokens, missing values, "
                "residuals, layer normalisation, branches or layers beside the recurrent ones and "
                "the head");
        Index width = options_.n_channels;
        for (Index l = 0; l < network.n_layers(); ++l) {
            const Index units = options_.hidden_layer_sizes[std::size_t(l)];
            const std::string prefix = "layers." + std::to_string(l) + ".";
            const RecurrenceShape shape{
                {width},
                units,
                false,
                {place_of(prefix + "W_xh"), place_of(prefix + "W_hh"), place_of(prefix + "b_h"),
                 place_of(prefix + "b_hn"), -1, -1}};
            layers_.push_back(make_layer<T>(options_.cell, shape));
            width = units;
        }
        head_W_ = place_of("head.W");
        head_b_ = place_of("head.b");
    }

    const Network<T>& network() const { return network_; }
    Index n_outputs() const { return options_.n_outputs; }

    // From and to the row of one network's parameters; lanes without a network have zeros.
    void load(const T* row, Index lane, Array<T>& registers) const {
        for (Index p = 0; p < network_.n_parameters(); ++p)
            lane_of(registers, p, lane) = row == nullptr ? T(0) : row[p];
    }

    // Outputs of every step by row, or by place; parameters, batch and x are there.
    void forward(bool training, bool per_step, Workspace<T>& workspace, Control& control) const {
        const LaneBatch<T>& batch = workspace.batch;
        workspace.tapes.resize(layers_.size());
        const T* x = workspace.x.data();
        for (std::size_t l = 0; l < layers_.size(); ++l) {
            layers_[l]->forward(batch, training, workspace.parameters.data(), x, workspace.tapes[l],
                                control);
            x = workspace.tapes[l].h.data();
        }
        const Index n = n_output_rows(batch, per_step);
        if (!per_step) gather_ends(workspace);
        const Grid<T> features{per_step ? x : workspace.ends.data(), n_features(), 1};
        make_room(workspace.outputs, n * n_outputs() * n_lanes<T>);
        if (head_W_ < 0)
            std::copy_n(features.data, n * n_outputs() * n_lanes<T>, workspace.outputs.data());
        else
            multiply<T>(n, n_outputs(), n_features(), features, of(workspace.parameters, head_W_),
                        n_outputs(), {of(workspace.parameters, head_b_), 0},
                        {workspace.outputs.data(), n_outputs()});
    }

    // From doutputs to the gradient of all parameters.
    void backward(bool per_step, Index bptt_steps, Workspace<T>& workspace,
                  Control& control) const {
        const LaneBatch<T>& batch = workspace.batch;
        const T* const parameters = workspace.parameters.data();
        workspace.dh.resize(layers_.size());
        workspace.runs.assign(batch.rows(), false);
        for (std::size_t l = 0; l < layers_.size(); ++l)
            make_room(workspace.dh[l], batch.rows().n_rows() * layers_[l]->n_units() * n_lanes<T>);
        leave_head(per_step, workspace);
        for (Index l = Index(layers_.size()) - 1; l >= 0; --l) {
            const std::size_t i = std::size_t(l);
            const bool is_last = i + 1 == layers_.size();
            const StateGradients<T> dy{is_last && !per_step ? nullptr : workspace.dh[i].data(),
                                       is_last && !per_step ? workspace.dends.data() : nullptr};
            layers_[i]->backward(batch, bptt_steps, parameters, dy,
                                 l > 0 ? workspace.dh[i - 1].data() : nullptr, workspace.tapes[i],
                                 control);
            layers_[i]->gradient(batch, workspace.runs.of_direction(0),
                                 l > 0 ? workspace.tapes[i - 1].h.data() : workspace.x.data(),
                                 workspace.tapes[i], workspace.gradient.data(), control);
        }
    }

    static Index n_output_rows(const LaneBatch<T>& batch, bool per_step) {
        return per_step ? batch.rows().n_rows() : batch.rows().n_sequences();
    }

    // Inputs of the batch, row by row.
    void gather(const Sequences<T>& sequences, Workspace<T>& workspace) const {
        const Batch& rows = workspace.batch.rows();
        const Index n_channels = options_.n_channels;
        make_room(workspace.x, rows.n_rows() * n_channels * n_lanes<T>);
        std::array<const T*, std::size_t(n_lanes<T>)> from{};
        for (Index s = 0; s < rows.n_sequences(); ++s) {
            for (Index lane = 0; lane < n_lanes<T>; ++lane)
                from[std::size_t(lane)] = workspace.batch.length(s, lane) == 0
                                              ? nullptr
                                              : sequences.step(workspace.batch.source(s, lane), 0);
            for (Index t = 0; t < rows.length[std::size_t(s)]; ++t) {
                T* const to = of(workspace.x, rows.row(t, s) * n_channels);
                for (Index lane = 0; lane < n_lanes<T>; ++lane) {
                    const bool has_step = t < workspace.batch.length(s, lane);
                    const T* const step =
                        has_step ? from[std::size_t(lane)] + t * n_channels : nullptr;
                    for (Index d = 0; d < n_channels; ++d)
                        to[d * n_lanes<T> + lane] = has_step ? step[d] : T(0);
                }
            }
        }
    }

private:
    Index place_of(const std::string& name) const {
        for (const Parameter& parameter : network_.parameters())
            if (parameter.name == name) return parameter.offset;
        return -1;
    }
    static T* of(Array<T>& registers, Index i) { return registers.data() + i * n_lanes<T>; }
    Index n_features() const { return layers_.back()->n_units(); }
    void gather_ends(Workspace<T>& workspace) const {
        const LaneBatch<T>& batch = workspace.batch;
        const Index n_places = batch.rows().n_sequences(), units = n_features();
        make_room(workspace.ends, n_places * units * n_lanes<T>);
        Array<T>& h = workspace.tapes.back().h;
        for (Index s = 0; s < n_places; ++s)
            for (Index lane = 0; lane < n_lanes<T>; ++lane) {
                const Index n_steps = batch.length(s, lane);
                for (Index u = 0; u < units; ++u)
                    lane_of(workspace.ends, s * units + u, lane) =
                        n_steps == 0
                            ? T(0)
                            : lane_of(h, batch.rows().row(n_steps - 1, s) * units + u, lane);
            }
    }

    // Through the head, whose gradient is summed over steps from the last to the first, but over
    // sequences from the first to the last.
    void leave_head(bool per_step, Workspace<T>& workspace) const {
        const Index n = n_output_rows(workspace.batch, per_step), units = n_features();
        Array<T>& dfeatures = per_step ? workspace.dh.back() : workspace.dends;
        make_room(dfeatures, n * units * n_lanes<T>);
        if (head_W_ < 0) {
            std::copy_n(workspace.doutputs.data(), n * units * n_lanes<T>, dfeatures.data());
            return;
        }
        Array<T>& features = per_step ? workspace.tapes.back().h : workspace.ends;
        make_room(workspace.head_transposed, n_outputs() * units * n_lanes<T>);
        transpose(of(workspace.parameters, head_W_), units, n_outputs(), n_outputs(),
                  workspace.head_transposed.data());
        multiply<T>(n, units, n_outputs(), {workspace.doutputs.data(), n_outputs(), 1},
                    workspace.head_transposed.data(), units, {}, {dfeatures.data(), units});
        const Index first = per_step ? n - 1 : 0, step = per_step ? -1 : 1;
        const T* const dy = of(workspace.doutputs, first * n_outputs());
        multiply<T>(units, n_outputs(), n, {of(features, first * units), 1, step * units}, dy,
                    step * n_outputs(), {}, {of(workspace.gradient, head_W_), n_outputs()});
        multiply<T>(1, n_outputs(), n, ones<T>(), dy, step * n_outputs(), {},
                    {of(workspace.gradient, head_b_), 0});
    }

    const Network<T>& network_;
    const NetworkOptions& options_;
    std::vector<std::unique_ptr<Layer<T>>> layers_;
    Index head_W_ = -1, head_b_ = -1;
};

}  // namespace elman::fleet
