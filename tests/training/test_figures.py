"""What an epoch's steps reported, kept across a stop."""

import numpy as np

from rawnet_jax.contract import StepOutput
from rawnet_jax.training.figures import EpochRecord


def output(value: float) -> StepOutput:
    ones = np.ones(2, np.int32)
    return StepOutput(np.float32(value), np.float32(2), np.full(2, value), ones, ones)


def test_what_is_dumped_stays_as_it_is_while_further_steps_come_in():
    record = EpochRecord()
    record.add(output(0.5))
    dumped = record.dump()  # a checkpoint in the background writes it later
    record.add(output(0.25))
    resumed = EpochRecord.load(dumped)
    assert resumed.scores == [0.5, 0.5]
    assert resumed.labels == [1, 1]
    assert resumed.interval == [0.5, 2.0]
    resumed.add(output(0.25))
    assert resumed == record
