"""The core once more, in NumPy: clear, slow, in float64, file by file beside cpp/elman."""
