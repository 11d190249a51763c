"""Reports: charts, templates, sections, metrics and their intervals."""
