# --with tensorboard: curves in vis_data of the run; look at them with `tensorboard --logdir work_dirs`.
# Needs `pip install tensorboard`.
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
