"""LSTM kernels: one recurrence, written for each kind of device.

A kernel takes time-major sequences and full-length recurrences only; masks, reversal and the
choice of what is returned belong to `apps.layers.sequences`.
"""
