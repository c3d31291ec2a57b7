"""Search for good hyper-parameters, through Optuna."""
