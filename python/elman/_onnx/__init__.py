"""Interchange with ONNX: `to_onnx`, `from_onnx` and what they are made of.

Out:

    _graph         a graph that is written node by node
    _stack         recurrent layers
    _network       a whole network, and what its outputs mean
    _seq2seq       an encoder, and one step of its decoder
    _transformers  `SequenceScaler` and `SlidingWindow`
    _refused       what no graph is written of
    _skl2onnx      all of these within pipelines of scikit-learn
    _export        `to_onnx`

In:

    _values        what is known of each value of a graph that is read
    _sizes         what is known of shapes that are computed
    _operators     what operators around the recurrent ones make of it
    _recurrent     what RNN, GRU and LSTM make of it
    _reader        a graph, node by node
    _roundtrip     a graph that `to_onnx` wrote
    _import        `from_onnx`

Both know from _cells where gates and biases stand.
"""
