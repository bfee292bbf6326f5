"""What papers, courses and other libraries call what has another name here: for hints alone."""

# pyright: strict
from __future__ import annotations

_USUAL = {
    # ours: theirs
    "learning_rate": "lr eta step_size learningrate base_lr initial_lr",
    "lr_decay": "learning_rate_decay decay gamma lr_gamma",
    "schedule": "scheduler lr_schedule lr_scheduler",
    "decay_every": "decay_steps lr_step_size",
    "warmup": "warmup_epochs warm_up num_warmup_epochs",
    "patience": "early_stopping early_stopping_patience",
    "clip_norm": "max_norm grad_clip clip_grad gradient_clip max_grad_norm clip",
    "num_epochs": "epochs epoch n_epochs nb_epoch max_epochs iterations iters num_iters n_iter "
    "max_iter max_steps num_steps",
    "batch_size": "batch bs batchsize minibatch minibatch_size mini_batch_size",
    "reg": "wd weight_decay l2 l2_reg l2_penalty regularization reg_strength lambda",
    "hidden_dims": "hidden hidden_dim hidden_size hidden_sizes hidden_layer_sizes hidden_units "
    "layers layer_sizes num_layers n_layers units width num_hidden",
    "dropout": "dropout_rate dropout_p p_drop drop dropout_prob",
    "input_dropout": "input_dropout_rate dropout_input input_drop input_dropout_ratio",
    "weight_scale": "init_scale init_std weight_std w_scale std sigma",
    "class_weights": "class_weight weight weights sample_weight",
    "activation": "act activation_function nonlinearity act_fn",
    "normalization": "norm batch_norm batchnorm use_batchnorm layer_norm bn",
    "batch": "batchnorm batch_norm bn",
    "layer": "layernorm layer_norm ln",
    "initialization": "init initializer weight_init init_method",
    "kaiming": "he he_normal kaiming_normal",
    "xavier": "glorot glorot_normal xavier_normal",
    "loss_function": "loss loss_fn criterion",
    "optimizer": "opt optim update_rule algorithm",
    "momentum": "mu mom momentum_sgd sgd_momentum sgdm",
    "beta1": "beta betas beta_1 b1",
    "beta2": "beta_2 b2",
    "epsilon": "eps",
    "decay_rate": "rho",
    "device": "gpu use_gpu use_cuda accelerator",
    "cuda": "gpu",
    "seed": "random_state random_seed manual_seed rng",
    "dtype": "precision",
    "objective": "metric monitor",
    "target": "goal stop_value",
    "model": "net network arch architecture",
    "data": "dataset dataset_name",
    "num_train": "n_train train_size num_training",
    "num_val": "n_val val_size num_validation",
    "val_fraction": "validation_ratio validation_fraction val_ratio val_split validation_split",
    "components": "pca n_components num_components pca_components",
    "whiten": "whitening zca pca_whitening",
    "root": "data_dir data_path data_root",
    "eval_every": "eval_interval val_every evaluate_every",
    "checkpoint_seconds": "checkpoint_every save_every checkpoint_interval",
    "fully_connected": "mlp fc fcn fcnet fully_connected_net dense",
    "cifar10": "cifar_10 cifar",
    "fashion_mnist": "fashion fashionmnist fmnist",
    "sgd": "gd vanilla_sgd gradient_descent",
    "nesterov": "nag nesterov_momentum sgd_nesterov",
    "rmsprop": "rms_prop",
    "softmax": "cross_entropy crossentropy ce nll xent",
    "svm": "hinge",
    "float32": "float fp32 single",
    "float64": "double fp64",
    "val_accuracy": "accuracy acc val_acc valid_accuracy validation_accuracy test_accuracy",
    "train_accuracy": "train_acc training_accuracy",
    "n_trials": "trials num_trials max_trials num_samples run_cap max_evals",
    "random": "random_search",
    "tpe": "bayes bayesian hyperopt",
    "cmaes": "cma cma_es",
    "successive_halving": "asha sha halving",
}

_OURS: dict[str, list[str]] = {}
for _ours, _theirs in _USUAL.items():
    for _name in _theirs.split():
        _OURS.setdefault(_name, []).append(_ours)


def ours(name: str) -> list[str]:
    """What a name from elsewhere is called here; the name itself in lower case comes first."""
    lower = name.lower().replace("-", "_")
    return [lower, *_OURS.get(lower, ())]
