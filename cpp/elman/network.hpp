// A stack of recurrent layers, each of one direction or two, and a dense head; before them, where
// steps are tokens, an embedding.
//
//     steps -> x (-> input layer)        what stands before the first layer    network_inputs.hpp
//       -> layer 0 -> layer 1 -> ...     each with the junction behind it      network_layer.hpp
//       -> head -> outputs               or the last layer's as they are       network_outputs.hpp
//
// The head may read x beside the last layer. What goes on from one step to the next, or from one
// call to another, are the states (network_states.hpp).
//
// Outputs are per step, or per sequence: then the head reads the forward state after the last
// step beside the reverse state after the first. The network holds shapes; parameters are one
// flat vector, cut by the list parameters(). What a pass leaves behind is its Workspace.
#pragma once

#include "elman/network_inputs.hpp"
#include "elman/network_layer.hpp"
#include "elman/network_outputs.hpp"
#include "elman/network_states.hpp"
#include "elman/parameters.hpp"

namespace elman {

template <class T>
class Network {
public:
    explicit Network(NetworkOptions options)
        : options_(checked(std::move(options))),
          layout_(cell_layout(options_.cell)),
          states_(options_),
          inputs_(options_, adder()),
          layers_(make_layers()),
          outputs_(options_, layers_.back().output_widths(), adder()) {
        options_.n_outputs = outputs_.width();
    }

    const NetworkOptions& options() const { return options_; }
    const std::vector<Parameter>& parameters() const { return parameters_.parameters(); }
    Index n_parameters() const { return parameters_.size(); }
    const std::vector<State>& states() const { return states_.states(); }
    Index state_size() const { return states_.size(); }
    Index n_layers() const { return Index(layers_.size()); }
    bool has_reverse() const { return options_.has_reverse(); }
    // Whether the steps behind some others need no more of them than their states.
    bool runs_in_segments() const { return !has_reverse() && options_.branch_step == 0; }
    const std::optional<Embedding<T>>& embedding() const { return inputs_.embedding(); }
    // Whether NaN may come in.
    bool may_miss() const { return inputs_.may_miss(); }

    Index sequences_side_by_side() const {
        Index n = 1;
        for (const NetworkLayer<T>& layer : layers_)
            n = std::max(n, layer.sequences_side_by_side());
        return n;
    }
    // Numbers that enter and leave the layers at one step of one sequence.
    Index n_features() const {
        Index sum = options_.n_channels + options_.input_layer + options_.head_layer;
        for (const NetworkLayer<T>& layer : layers_) sum += layer.n_features();
        return sum;
    }
    // Of one step of one sequence, forwards.
    Index multiply_adds() const {
        Index sum = inputs_.multiply_adds() + outputs_.multiply_adds();
        for (const NetworkLayer<T>& layer : layers_) sum += layer.multiply_adds();
        return sum;
    }

    void initialize(std::uint64_t seed, T* weights, Control& control) const;

    // Rounds the matrices of its layers to what they can be stored as.
    void round(Storage storage, T* parameters) const {
        for (const NetworkLayer<T>& layer : layers_) layer.round(storage, parameters);
    }

    // The weights must outlive what is packed of them: an embedding or a decay is read where it is.
    void pack(const T* weights, bool training, NetworkWeights<T>& packed) const {
        packed.parameters = weights;
        packed.layers.resize(layers_.size());
        inputs_.pack(weights, training, packed.input);
        for (std::size_t l = 0; l < layers_.size(); ++l)
            layers_[l].pack(weights, training, packed.layers[l]);
        outputs_.pack(weights, training, packed.head);
    }

    // Makes ready for a pass over workspace.batch, with the initial states (n_sequences rows of
    // state_size, in the caller's order) or those of start(). One thread.
    void prepare(const Sequences<T>& sequences, Workspace<T>& workspace,
                 const T* initial_state) const {
        workspace.distinct.is_used = false;
        resize(workspace);
        if (may_read_tokens_once(sequences, workspace)) collect_tokens(sequences, workspace);
        begin_steps(sequences, workspace);
        if (workspace.training) workspace.runs.assign(workspace.batch, initial_state != nullptr);
        set_initial_states(workspace, initial_state);
    }
    // Parts of it, for passes over batches of one shape that go on from the states that are there:
    // the room, and what goes in.
    void resize(Workspace<T>& workspace) const;
    void begin_steps(const Sequences<T>& sequences, Workspace<T>& workspace) const {
        inputs_.begin(sequences, workspace);
    }

    // Where workspace.distinct is used: of the tokens that it has got, one of n_parts ranges; what
    // is made of them before forward, what flows into them between backward and gradient.
    void sum_tokens(Index part, Index n_parts, const NetworkWeights<T>& weights,
                    Workspace<T>& workspace) const;
    void add_token_gradients(Index part, Index n_parts, Workspace<T>& workspace) const {
        layers_.front().add_token_gradients(workspace.distinct.places().part(part, n_parts),
                                            workspace);
    }

    // The outputs of the sequences of a shard.
    void forward(const Sequences<T>& sequences, const NetworkWeights<T>& weights, Range shard,
                 Workspace<T>& workspace, Control& control) const;

    // From workspace.doutputs to every dz on the tapes.
    void backward(const NetworkWeights<T>& weights, Range shard, Index bptt_steps,
                  Workspace<T>& workspace, Control& control) const;

    // dL/d(inputs) at each step of sequence s, once backward has been there and if they are wanted.
    void input_gradients(const Workspace<T>& workspace, Index s, T* dinputs) const {
        inputs_.input_gradients(workspace, s, dinputs);
    }
    // dL/d(initial states), by place, once backward has been there.
    void initial_gradients(const Workspace<T>& workspace, Range shard, T* dstates) const {
        states_.get_initial_gradients(workspace, shard, dstates);
    }

    // The gradient of the weights in independent pieces. An embedding's is added to what is there.
    Index n_gradient_tasks(Index n_parts) const {
        Index n = inputs_.n_gradient_tasks(n_parts) + outputs_.n_gradient_tasks(n_parts);
        for (const NetworkLayer<T>& layer : layers_) n += layer.n_gradient_tasks(n_parts);
        return n;
    }
    void gradient(Index task, Index n_parts, Pass pass, const NetworkWeights<T>& weights,
                  Workspace<T>& workspace, T* gradient, Control& control) const;

    // The row of states from which a sequence starts where no others are given.
    void start(const T* parameters, T* states) const {
        std::fill_n(states, states_.size(), T(0));
        if (inputs_.decay()) inputs_.decay()->start(parameters, states + states_.recurrent_size());
    }
    // Where sequences start: rows of states, or start() where there are none.
    void set_initial_states(Workspace<T>& workspace, const T* states) const {
        states_.set_initial(workspace, states);
    }
    // Of sequence s: a row of states, or null.
    void set_initial_state(Workspace<T>& workspace, Index s, const T* states) const {
        states_.set_initial(workspace, s, states);
    }
    void initial_states(const Workspace<T>& workspace, T* states) const {
        states_.get_initial(workspace, states);
    }
    // States after the last step in the order of processing, for the sequences of a shard.
    void final_states(const Workspace<T>& workspace, Range shard, T* states) const {
        states_.get_final(workspace, shard, states);
    }
    // The states after one step of each sequence are the initial ones of the next; no training.
    void carry_states(Workspace<T>& workspace) const {
        states_.carry(workspace);
        for (std::size_t l = 0; l < layers_.size(); ++l)
            layers_[l].reconnect(workspace, workspace.read[l + 1]);
    }

private:
    auto adder() {
        return [this](std::string name, std::vector<Index> shape) {
            return parameters_.add(std::move(name), std::move(shape));
        };
    }
    std::vector<NetworkLayer<T>> make_layers() {
        std::vector<NetworkLayer<T>> layers;
        std::vector<Index> widths{inputs_.layer_width()};
        for (Index l = 0; l < options_.n_layers(); ++l) {
            layers.emplace_back(options_, l, widths, adder());
            widths = layers.back().output_widths();
        }
        return layers;
    }

    bool may_read_tokens_once(const Sequences<T>& sequences, const Workspace<T>& workspace) const {
        return workspace.distinct.when != TokensOnce::never &&
               inputs_.are_tokens(sequences, workspace) &&
               workspace.distinct.may_recur(embedding()->n_tokens(), workspace.batch.n_rows()) &&
               layers_.front().takes_token_sums(workspace);
    }
    void collect_tokens(const Sequences<T>& sequences, Workspace<T>& workspace) const {
        DistinctTokens<T>& tokens = workspace.distinct;
        tokens.collect(*embedding(), sequences, workspace.batch, workspace.dropout,
                       workspace.training);
        tokens.is_used = tokens.recur();
        if (!tokens.is_used) return tokens.forget();
        layers_.front().resize_tokens(workspace);
        workspace.read.front() = inputs_.layer_inputs(workspace);
    }

    // Of the embedding, from what flows into the tokens of some places.
    void token_gradient(Range places, const NetworkWeights<T>& weights, Workspace<T>& workspace,
                        T* gradient) const {
        layers_.front().send_to_tokens(weights.layers.front(), places, workspace);
        const DistinctTokens<T>& tokens = workspace.distinct;
        for (Index place = places.begin; place < places.end; ++place)
            add_rows(tokens.dx.row(place), embedding()->width(),
                     gradient + embedding()->offset(tokens.id(place)));
    }

    // Each layer reads what the one before it hands on, and so does the head.
    void connect(Workspace<T>& workspace) const {
        workspace.read.assign(1, inputs_.layer_inputs(workspace));
        for (const NetworkLayer<T>& layer : layers_)
            workspace.read.push_back(layer.outputs(workspace));
        inputs_.add_head_inputs(workspace, workspace.read.back());
    }
    Features<T> feature_gradients(const Workspace<T>& workspace) const {
        Features<T> gradients = layers_.back().output_gradients(workspace);
        inputs_.add_head_gradients(workspace, gradients);
        return gradients;
    }

    NetworkOptions options_;
    CellLayout layout_;
    ParameterList parameters_;
    NetworkStates<T> states_;
    NetworkInputs<T> inputs_;
    std::vector<NetworkLayer<T>> layers_;
    NetworkOutputs<T> outputs_;
};

// Initial weights and passes are not inline, so that they are compiled with the core, once.
template <class T>
void Network<T>::initialize(std::uint64_t seed, T* weights, Control& control) const {
    std::fill_n(weights, n_parameters(), T(0));
    for (std::size_t p = 0; p < parameters().size(); ++p)
        initialize_parameter(parameters()[p], layout_, random_bits(seed, std::uint64_t(p)),
                             weights + parameters()[p].offset, control);
}

template <class T>
void Network<T>::resize(Workspace<T>& workspace) const {
    workspace.batch.branch_step = options_.branch_step;
    workspace.layers.resize(layers_.size());
    inputs_.resize(workspace);
    for (const NetworkLayer<T>& layer : layers_) layer.resize(workspace);
    for (std::size_t l = 1; l < layers_.size(); ++l) layers_[l - 1].link(layers_[l], workspace);
    outputs_.resize(workspace);
    connect(workspace);
}

template <class T>
void Network<T>::sum_tokens(Index part, Index n_parts, const NetworkWeights<T>& weights,
                            Workspace<T>& workspace) const {
    DistinctTokens<T>& tokens = workspace.distinct;
    const Range places = tokens.added().part(part, n_parts);
    if (places.size() == 0) return;
    const Rows<T>& x = tokens.x();
    for (Index place = places.begin; place < places.end; ++place)
        std::copy_n(weights.parameters + embedding()->offset(tokens.id(place)), x.width,
                    x.row(place));
    layers_.front().sum_tokens(weights.layers.front(), places, workspace);
}

template <class T>
void Network<T>::forward(const Sequences<T>& sequences, const NetworkWeights<T>& weights,
                         Range shard, Workspace<T>& workspace, Control& control) const {
    inputs_.forward(sequences, weights, shard, workspace);
    for (std::size_t l = 0; l < layers_.size(); ++l)
        layers_[l].forward(workspace.read[l], weights.layers[l], shard, workspace, control);
    outputs_.forward(weights.head, shard, workspace.read.back(), workspace);
}

template <class T>
void Network<T>::backward(const NetworkWeights<T>& weights, Range shard, Index bptt_steps,
                          Workspace<T>& workspace, Control& control) const {
    outputs_.backward(weights.head, shard, feature_gradients(workspace), workspace);
    for (Index l = n_layers() - 1; l >= 0; --l) {
        const NetworkLayer<T>& layer = layers_[std::size_t(l)];
        layer.begin_backward(shard, workspace);
        if (workspace.dfinal_states != nullptr) states_.add_final_gradients(workspace, l, shard);
        const Features<T> dinputs = l > 0 ? layers_[std::size_t(l - 1)].output_gradients(workspace)
                                          : inputs_.layer_gradients(workspace);
        layer.backward(weights.layers[std::size_t(l)], shard, bptt_steps, dinputs, workspace,
                       control);
    }
    inputs_.backward(weights, shard, workspace);
}

template <class T>
void Network<T>::gradient(Index task, Index n_parts, Pass pass, const NetworkWeights<T>& weights,
                          Workspace<T>& workspace, T* gradient, Control& control) const {
    for (std::size_t l = 0; l < layers_.size(); ++l)
        if (is_among(layers_[l].n_gradient_tasks(n_parts), task))
            return layers_[l].gradient(task, n_parts, pass, workspace.read[l], workspace, gradient,
                                       control);
    const bool is_of_inputs = is_among(inputs_.n_gradient_tasks(n_parts), task);
    if (is_of_inputs && workspace.distinct.is_used) {
        if (pass.ends)
            token_gradient(workspace.distinct.places().part(task, n_parts), weights, workspace,
                           gradient);
        return;
    }
    if (is_of_inputs)
        return inputs_.gradient(task, n_parts, pass, weights, workspace, gradient, control);
    outputs_.gradient(task, n_parts, pass, workspace.read.back(), workspace, gradient, control);
}

}  // namespace elman
