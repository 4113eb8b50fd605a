"""The cells, one a file, each with a forward and a backward step."""

from reference.cell import gru, lstm, min_gru, min_lstm, simple


def cell_of(name, activation="tanh", reset_after=True):
    """The cell that the options of a network name."""
    if name == "simple":
        return simple.Simple(activation)
    if name == "gru":
        return gru.ResetAfter() if reset_after else gru.ResetBefore()
    return {"lstm": lstm.Lstm, "min_gru": min_gru.MinGru, "min_lstm": min_lstm.MinLstm}[name]()
