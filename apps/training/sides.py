"""The two sides of a training: units to learn from, units to choose by."""

from __future__ import annotations

from dataclasses import dataclass

from apps import environment
from apps.application import Application
from apps.data import Examples
from apps.data.remarks import check_labels, remarks
from apps.training.plan import Plan


@dataclass(frozen=True)
class Sides:
    """Rows as they were read, checked and divided.

    Attributes:
        training: checked rows to learn from.
        validation: rows to choose by, of which `usable` takes the checked ones.
        dropped: rows that the check of the training source left out.
    """

    training: Examples
    validation: Examples
    dropped: int

    def usable(self, application: Application) -> tuple[Examples, int]:
        """Validation units that a model can be measured on, and how many rows were left out.

        What looks wrong with the rows of both sides although they can be used is said.

        Args:
            application: adapted to the training units, so that it knows its labels.

        Raises:
            UserError: a row that it cannot be measured on.
        """
        checked = application.check(self.validation, learning=False)
        dropped = max(len(self.validation) - len(checked), 0)
        columns, inputs = application.columns(), list(application.input.columns)
        for line in remarks(self.training, checked, columns, inputs):
            environment.say(line)
        return application.input.units(checked), self.dropped + dropped


def read_sides(plan: Plan, application: Application) -> Sides:
    """Read the rows of a plan, and divide them where no validation source is named.

    Raises:
        UserError: a source cannot be read, or no model can be trained on it.
    """
    rows = plan.read()
    check_labels(rows, application.columns())
    checked = application.check(rows, learning=True)
    dropped = max(len(rows) - len(checked), 0)
    if plan.validation is not None:
        return Sides(checked, plan.read_validation(), dropped)
    fraction = application.config.validation_fraction
    return Sides(*application.input.split(checked, fraction, application.task.stratify), dropped)
