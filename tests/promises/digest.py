"""What an estimator is, as one number: to see that a call has changed nothing."""

import hashlib
import pickle


def state_digest(estimator):
    """A hash over everything that the estimator holds: weights, solver state, generator, all."""
    return hashlib.sha256(pickle.dumps(sorted(vars(estimator).items()))).hexdigest()
