# --with wandb: curves to Weights & Biases. Needs `pip install wandb` and `wandb login`; this is the
# only option that sends anything over the network.
visualizer = dict(
    vis_backends=[
        dict(type='LocalVisBackend'),
        dict(type='WandbVisBackend', init_kwargs=dict(project='realmnet')),
    ]
)
