"""Which kernel runs each recurrent layer on a GPU and on a CPU, why, and what to change.

    from apps.layers.doctor import diagnose_model, render
    print(render(diagnose_model(model)))

The verdicts come from graphs, not from a list of rules: a live model is traced as hosts with and
without a GPU would trace it (`tracing`), and a SavedModel's graph is read as it stands (`saved`).
Rules only put the reason into words (`causes`).
"""

from apps.layers.doctor.diagnosis import Diagnosis, render
from apps.layers.doctor.files import diagnose_file
from apps.layers.doctor.models import diagnose_model

__all__ = ["Diagnosis", "diagnose_file", "diagnose_model", "render"]
