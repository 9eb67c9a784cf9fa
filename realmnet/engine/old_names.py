"""Keys of mmcls 0.x and mmdetection 2.x, and what they are called today."""

from __future__ import annotations

#: Old dotted key, or the beginning of one, to what to write instead.
OLD_NAMES = {
    'resume_from': 'the tool takes --resume CHECKPOINT, in a config resume=True and load_from',
    'auto_resume': 'the tool takes --resume without a value',
    'optimizer': 'use optim_wrapper.optimizer',
    'optimizer_config.grad_clip': 'use optim_wrapper.clip_grad',
    'optimizer_config.cumulative_iters': 'use optim_wrapper.accumulative_counts',
    'optimizer_config': 'use optim_wrapper',
    'lr': 'use optim_wrapper.optimizer.lr',
    'weight_decay': 'use optim_wrapper.optimizer.weight_decay',
    'paramwise_cfg': 'use optim_wrapper.paramwise_cfg',
    'lr_config': 'use param_scheduler, a list of schedulers (param_scheduler.0.begin)',
    'momentum_config': 'use param_scheduler, a list of schedulers',
    'data.samples_per_gpu': 'use train_dataloader.batch_size (and those of val and test)',
    'data.workers_per_gpu': 'use train_dataloader.num_workers (and those of val and test)',
    'data.train_dataloader': 'use train_dataloader',
    'data.val_dataloader': 'use val_dataloader',
    'data.test_dataloader': 'use test_dataloader',
    'data.persistent_workers': 'use train_dataloader.persistent_workers',
    'data.train': 'use train_dataloader.dataset',
    'data.val': 'use val_dataloader.dataset',
    'data.test': 'use test_dataloader.dataset',
    'data': 'use train_dataloader, val_dataloader and test_dataloader',
    'samples_per_gpu': 'use train_dataloader.batch_size (and those of val and test)',
    'batch_size': 'use train_dataloader.batch_size (and those of val and test)',
    'workers_per_gpu': 'use train_dataloader.num_workers (and those of val and test)',
    'num_workers': 'use train_dataloader.num_workers (and those of val and test)',
    'max_epochs': 'use train_cfg.max_epochs',
    'total_epochs': 'use train_cfg.max_epochs',
    'epochs': 'use train_cfg.max_epochs',
    'max_iters': 'use train_cfg.max_iters with train_cfg.by_epoch=False',
    'total_iters': 'use train_cfg.max_iters with train_cfg.by_epoch=False',
    'runner.max_epochs': 'use train_cfg.max_epochs',
    'runner.max_iters': 'use train_cfg.max_iters with train_cfg.by_epoch=False',
    'runner': 'use train_cfg',
    'evaluation.interval': 'use train_cfg.val_interval',
    'evaluation.start': 'use train_cfg.val_begin',
    'evaluation.save_best': 'use default_hooks.checkpoint.save_best',
    'evaluation.rule': 'use default_hooks.checkpoint.rule',
    'evaluation': 'use val_evaluator and train_cfg.val_interval',
    'log_config.interval': 'use default_hooks.logger.interval',
    'log_config.hooks': 'use visualizer.vis_backends, or --with tensorboard or wandb',
    'log_config': 'use default_hooks.logger and visualizer',
    'checkpoint_config.interval': 'use default_hooks.checkpoint.interval',
    'checkpoint_config.max_keep_ckpts': 'use default_hooks.checkpoint.max_keep_ckpts',
    'checkpoint_config': 'use default_hooks.checkpoint',
    'workflow': 'use train_cfg.val_interval; --no-validate leaves the validation out',
    'no_validate': 'the tool takes --no-validate',
    'gpu_ids': 'set CUDA_VISIBLE_DEVICES, and give the number of processes to tools/dist_train.sh',
    'gpus': 'give the number of processes to tools/dist_train.sh',
    'device': 'a GPU is used where there is one; CUDA_VISIBLE_DEVICES=-1 hides it',
    'dist_params': 'use env_cfg.dist_cfg',
    'cudnn_benchmark': 'use env_cfg.cudnn_benchmark',
    'opencv_num_threads': 'use env_cfg.mp_cfg.opencv_num_threads',
    'mp_start_method': 'use env_cfg.mp_cfg.mp_start_method',
    'seed': 'use randomness.seed',
    'deterministic': 'use randomness.deterministic',
    'fp16': 'the tool takes --amp',
    'ema_config': 'the tool takes --with ema',
}


def today(key: str) -> str | None:
    """Say what an old key is called today, None if it is not an old one.

    Args:
        key: A dotted key.

    Example:
        >>> today('optimizer.lr'), today('runner.max_epochs'), today('model.head.lam')
        ('use optim_wrapper.optimizer.lr', 'use train_cfg.max_epochs', None)
    """
    parts = key.split('.')
    for end in range(len(parts), 0, -1):
        sentence = OLD_NAMES.get('.'.join(parts[:end]))
        if sentence is None:
            continue
        rest = '.'.join(parts[end:])
        is_key = sentence.startswith('use ') and ' ' not in sentence[4:]
        return f'{sentence}.{rest}' if rest and is_key else sentence
    return None
