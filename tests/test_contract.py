"""Runs the contract over the catalogue: every application, every promise."""

from contract import ApplicationContract, one_for_each

import apps

globals().update(one_for_each(apps.APPLICATIONS, ApplicationContract))
