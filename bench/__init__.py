"""Elman against its peers and against the machine's limit, in turn within one run."""
