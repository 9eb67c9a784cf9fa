# How to run: hooks, logging, seeds, launching. The same for every experiment.
default_scope = 'mmpretrain'
custom_imports = dict(imports=['realmnet.plugin'], allow_failed_imports=False)
runner_type = 'RealMRunner'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # Each checkpoint of the 21M model with its optimizer takes 250 MB.
    checkpoint=dict(type='RunCheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    finite=dict(type='FiniteHook'),
    epoch_seed=dict(type='EpochSeedHook'),
    label_order=dict(type='LabelOrderHook'),
    description=dict(type='DescriptionHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
load_from = None
resume = False

# Paper, section 4.5.2: deterministic, seed 42.
randomness = dict(seed=42, deterministic=True)
