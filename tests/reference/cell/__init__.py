"""The cells, one a file, each with a forward and a backward step."""

from reference.cell import gru, lstm, simple


def cell_of(name, activation="tanh", reset_after=True):
    """The cell that the options of a network name."""
    if name == "simple":
        return simple.Simple(activation)
    if name == "gru":
        return gru.ResetAfter() if reset_after else gru.ResetBefore()
    return lstm.Lstm()
