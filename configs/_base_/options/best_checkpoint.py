# --with best_checkpoint: keep the checkpoint that is best on the development split, too.
default_hooks = dict(checkpoint=dict(save_best='multi-label/mAP'))
