# --with early_stopping: stop when the development split has not improved for ten epochs.
default_hooks = dict(
    early_stopping=dict(
        type='RunEarlyStoppingHook',
        monitor='multi-label/mAP',
        min_delta=0.001,
        patience=10,
    )
)
