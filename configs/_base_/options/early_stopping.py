# --with early_stopping: stop when the development split has not improved for ten epochs.
default_hooks = dict(
    early_stopping=dict(
        type='EarlyStoppingHook',
        monitor='multi-label/mAP',
        rule='greater',
        min_delta=0.001,
        patience=10,
    )
)
