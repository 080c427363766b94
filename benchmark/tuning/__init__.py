"""Random search for the hyperparameters of the baselines."""
