# make quickstart   trains, measures and asks a sentiment model on the built-in sample
# make tour         ten minutes from texts, recordings and a series to served models, on one page (docs/tour.md)
# make docs         pictures of reports, and the site of these documents in build/site
# make test         lint, format, types, tests
# make results      every application's figures once more: a night on 2 cores; goes on where it stopped
# Both make their environment in .venv first; nothing else is needed than Python 3.11.

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: quickstart tour docs test clean

$(INSTALLED): requirements.txt tests/requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -r ,$^)
	touch $@

quickstart: $(INSTALLED)
	@set -e; run=runs/quickstart-$$(date +%Y%m%d-%H%M%S); \
	$(BIN)/python -m apps train sentiment --run $$run; \
	echo; echo "On reviews that it has not seen, beside its baselines:"; \
	$(BIN)/python -m apps evaluate $$run --data sample; \
	echo; echo "Three sentences:"; \
	$(BIN)/python -m apps predict $$run \
		"The acting is not dull." \
		"People told me that the plot was gripping, but it felt hollow." \
		"Although the pacing is slow, I would not say that the story was bland."; \
	echo; echo "The report: open $$run/report.html in a browser."; \
	echo "To serve it: $(BIN)/python -m apps export $$run && $(BIN)/python -m apps serve"

tour: $(INSTALLED)
	$(BIN)/python docs/tour.py $(if $(CSV),--texts "$(CSV)") $(if $(COLUMNS_CSV),--texts-columns "$(COLUMNS_CSV)") \
		$(if $(RECORDINGS),--recordings "$(RECORDINGS)") $(if $(COLUMNS_RECORDINGS),--recordings-columns "$(COLUMNS_RECORDINGS)") \
		$(if $(SERIES),--series "$(SERIES)") $(if $(COLUMNS_SERIES),--series-columns "$(COLUMNS_SERIES)") $(TOUR)

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

.PHONY: results
results: $(INSTALLED)
	$(BIN)/python -m benchmarks.results

docs: $(INSTALLED)
	PYTHONPATH=. $(BIN)/python docs/screenshots.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f docs/mkdocs.yml

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
