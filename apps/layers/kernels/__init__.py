"""LSTM kernels: one recurrence, implemented for each kind of device.

A kernel takes time-major sequences and runs every row over all steps. `apps.layers.sequences`
handles masks and reversal, `apps.layers.recurrence` the choice of outputs.
"""
