"""Runs what is promised of a GPU over the catalogue."""

import pytest
from contract import one_for_each
from gpu_contract import GpuContract
from under_test import needs_device

from apps.catalogue import APPLICATIONS

pytestmark = [pytest.mark.gpu, needs_device]

globals().update(one_for_each(APPLICATIONS, GpuContract))
