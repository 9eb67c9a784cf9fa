from realmnet.reporting.model_table import TABLE_4_CONFIGS, model_table


def test_ours_published_and_difference():
    table = model_table(
        {'DeiT': dict(side=384, parameters=86_098_951, multiply_adds=55_589_811_456)}
    )
    assert [row[0] for row in table.rows] == list(TABLE_4_CONFIGS)
    assert table.rows[0][2:] == ['86.10', '87.63', '-1.53', '55.59', '55.65', '-0.06']
    assert table.rows[3] == [
        'Swin Transformer', '384', 'not counted', '87.90', '', 'not counted', '44.49', '',
    ]  # fmt: skip
    assert 'ImageNet' in table.to_markdown() and '2.63 G' in table.to_latex()
