"""Quality of predictions against labels: one file a family, each held to scikit-learn."""

HIGHER_IS_BETTER = {
    "accuracy": True, "precision": True, "recall": True, "f1": True, "specificity": True,
    "mcc": True, "balanced_accuracy": True, "auc": True, "average_precision": True,
    "log_loss": False, "brier": False, "calibration_error": False,
    "macro_precision": True, "macro_recall": True, "macro_f1": True,
    "weighted_precision": True, "weighted_recall": True, "weighted_f1": True,
    "mae": False, "rmse": False, "mape": False, "r2": True,
}  # fmt: skip
