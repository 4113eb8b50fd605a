// What a network is made of, as its caller says it.
#pragma once

#include "elman/cells.hpp"

namespace elman {

struct NetworkOptions {
    CellOptions cell;
    std::vector<Index> hidden_layer_sizes;
    std::vector<bool> bidirectional;  // one for each layer
    Index n_channels;
    Index n_outputs;  // ignored without a head
    bool head;
    Index n_tokens = 0;  // steps are tokens below it, and channels what an embedding makes of them
    std::string merge_mode = "concat";  // of the directions of a layer
    bool residual = false;              // around each layer but the first
    // What NaN is: "none" an error of the caller, "mask" a step that every layer skips, "decay" a
    // value that fades (decay.hpp).
    std::string missing = "none";
    bool layer_norm = false;   // of each gate's sums
    Index input_layer = 0;     // units of a dense layer before the first one, or 0 for none
    Index head_layer = 0;      // units of the head's hidden layer, or 0 for none
    bool head_inputs = false;  // whether the head reads the inputs of the step beside the states
    // Steps from this one on all start from the states before it, none from another; 0 for none.
    Index branch_step = 0;

    Index n_layers() const { return Index(hidden_layer_sizes.size()); }
    Index n_units(Index l) const { return hidden_layer_sizes[std::size_t(l)]; }
    Index n_directions(Index l) const { return bidirectional[std::size_t(l)] ? 2 : 1; }
    bool has_reverse() const {
        return std::count(bidirectional.begin(), bidirectional.end(), true) > 0;
    }
    // Numbers in x_t: beside each one that may fade stands whether it is there.
    Index n_inputs() const { return n_channels * (missing == "decay" ? 2 : 1); }
};

// The options as they came, or invalid_argument.
inline NetworkOptions checked(NetworkOptions options) {
    const auto require = [](bool holds, const char* what) {
        if (!holds) throw std::invalid_argument(std::string("elman: ") + what);
    };
    require(!options.hidden_layer_sizes.empty(), "a network needs a layer");
    require(options.bidirectional.size() == options.hidden_layer_sizes.size(),
            "bidirectional needs one entry for each layer");
    for (const Index size : options.hidden_layer_sizes)
        require(size >= 1 && size <= 1 << 24, "a layer needs 1 to 2^24 units");
    require(options.n_channels >= 1, "n_channels must be at least 1");
    require(options.missing == "none" || options.missing == "mask" || options.missing == "decay",
            "missing must be 'none', 'mask' or 'decay'");
    require(options.missing == "none" || options.n_tokens == 0, "tokens cannot be missing");
    require(options.missing != "decay" || !options.bidirectional.front(),
            "a layer of two directions cannot decay");
    require(options.n_tokens >= 0 && options.n_tokens <= std::numeric_limits<int>::max(),
            "n_tokens must be in [0, 2^31)");
    require(!options.head || options.n_outputs >= 1, "n_outputs must be at least 1");
    require(options.input_layer >= 0 && options.input_layer <= 1 << 24,
            "input_layer must be in [0, 2^24]");
    require(options.head_layer >= 0 && options.head_layer <= 1 << 24,
            "head_layer must be in [0, 2^24]");
    require(options.head || (options.head_layer == 0 && !options.head_inputs),
            "head_layer and head_inputs need a head");
    require(options.branch_step >= 0, "branch_step must be at least 0");
    require(options.branch_step == 0 || (!options.has_reverse() && options.missing == "none"),
            "steps branch in layers of one direction, none of them missing");
    return options;
}

// What the names of the parameters and states of a layer's direction begin with.
inline std::string direction_prefix(Index l, Index d) {
    return "layers." + std::to_string(l) + (d == 1 ? ".reverse." : ".");
}

}  // namespace elman
