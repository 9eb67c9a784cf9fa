# --with tensorboard: curves in the run's vis_data; see them with `tensorboard --logdir work_dirs`.
# Needs `pip install tensorboard`.
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
