# `make app` opens the workbench, `make test` checks everything quick; each sets up .venv first, once.
# pip and venv do the set-up, not uv, which would fetch a CUDA torch where pip is offered a CPU one.

PYTHON  ?= python3
WORKERS ?= 2

# JupyterLab asks no host for news, updates or extensions.
LAB_QUIET := --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
	--LabApp.extension_manager=readonly $(if $(filter 0,$(shell id -u)),--allow-root)

VENV  := .venv
PY    := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help app lab test test-slow test-core test-browser torture load screenshots readme-pictures notebooks-html lint format bench demo emoji judge emoji-judge comparison clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

app: $(READY) ## open the workbench, on this machine only, by the address it prints (PORT=8502 for another port)
	$(PY) -m streamlit run app/main.py $(if $(PORT),--server.port $(PORT))

lab: $(READY) ## open the notebooks in JupyterLab, on this machine only (PORT=8889 for another port)
	DREAM_WORKSPACE="$(CURDIR)" $(PY) -m jupyter lab --ip=127.0.0.1 $(if $(PORT),--port=$(PORT)) $(LAB_QUIET) notebooks

test: lint ## lint, types and all quick tests
	$(PY) -m pytest -m "not slow and not browser and not core" -n $(WORKERS) --dist loadfile

test-slow: $(READY) ## the trainings and decodes that take minutes
	$(PY) -m pytest -m "slow and not browser" -n $(WORKERS) --dist loadfile

test-core: $(READY) ## a training step in a second environment that has only the core
	$(PYTHON) -m venv --clear .venv-core
	.venv-core/bin/python -m pip install --quiet --no-input --disable-pip-version-check .
	$(PY) -m pytest -m core

test-browser: $(READY) ## journeys through the app in headless Chromium (apt install chromium)
	$(PY) -m pytest -m browser -n $(WORKERS) --dist loadfile

torture: $(READY) ## damage files for every reader, hostile lines and addresses, kills of every writer (TORTURE=1000 KILLS=240)
	DREAM_TORTURE=$(or $(TORTURE),1000) DREAM_KILLS=$(or $(KILLS),240) DREAM_FUZZ=60000 DREAM_FUZZ_PAGES=20000 \
		$(PY) -m pytest tests/torture -n $(WORKERS)

load: $(READY) ## twenty tabs with a training beside, 1,000 decodes, 50 opened tabs: seconds and memory
	$(PY) -m tests.torture.load

screenshots: $(READY) ## every page in both themes, into runs/screenshots (needs Chromium)
	$(PY) -m app.screenshots

readme-pictures: $(READY) ## the pictures that the README shows, made again (needs Chromium)
	$(PY) -m app.readme_pictures

notebooks-html: $(READY) ## run every notebook and write it with its figures as offline HTML, into notebooks/html
	$(PY) -m workbench.notebook_pages

lint: $(READY) ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(READY) ## rewrite the sources in the house format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(READY) ## time training and decoding against the published algorithm
	$(PY) -m dream bench

demo: $(READY) ## retrain the model that ships (about two hours on two cores) and put it in its place
	$(PY) -m dream train --out runs/demo $(if $(wildcard runs/demo/config.json),--resume,--preset demo --data shapes)
	$(PY) -m dream export --model runs/demo --out dream/shipped/demo --overwrite

emoji: $(READY) ## build the emoji, retrain the model of them that ships (hours, in four legs), and put it in its place
	$(PY) -m dream data emoji --build
	$(PY) -m dream train --out runs/emoji-first --preset emoji --data emoji --resume auto --total-steps 2782 \
		--set data.near_misses=0 data.other_phrasings=0
	$(PY) -m dream train --out runs/emoji-second --start-from runs/emoji-first --data emoji --resume auto --total-steps 1921 --seed 11 \
		--set data.near_misses=0.5 data.other_phrasings=0.15 train.muon_lr=0.005
	$(PY) -m dream train --out runs/emoji-third --start-from runs/emoji-second --data emoji --resume auto --total-steps 3300 --seed 13 \
		--set data.near_misses=0.25 data.other_phrasings=0.1 train.muon_lr=0.005
	$(PY) -m dream train --out runs/emoji --start-from runs/emoji-third --data emoji --resume auto --total-steps 600 --seed 17 \
		--set train.tune=joint train.batch_size=512 train.optimizer=adamw train.lr=1e-3 train.weight_decay=0.1 train.decay=cosine train.decay_start=0 \
		data.near_misses=0 data.canonical_until=0 data.other_phrasings=0.3 \
		text.width=128 text.heads=4 joint.positional_text=false joint.dropout=0.3
	$(PY) -m dream export --model runs/emoji --out dream/shipped/emoji --dtype float16 --overwrite
	$(PY) -m dream critic train --from pictures --model dream/shipped/emoji --data emoji --out dream/shipped/emoji --overwrite

judge: $(READY) ## retrain both networks of the judge of drawn pictures, and put them in their place
	$(PY) -m dream.evaluation.judging.train_judge
	$(PY) -m dream.evaluation.judging.train_judge --wide

emoji-judge: $(READY) ## build the emoji, retrain the judge of them that ships, and put it in its place
	$(PY) -m dream data emoji --build
	$(PY) -m dream.evaluation.judging.train_emoji_judge

comparison: $(READY) ## joint against single objectives at equal budget, three seeds each (several hours)
	$(PY) -m workbench.comparison

clean: ## remove .venv and every cache; runs/ stays
	rm -rf $(VENV) .venv-core build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An interrupted set-up leaves no stamp and is taken up again; a changed pyproject.toml sets up once more.
$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing; DREAM needs Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: DREAM needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V); try make PYTHON=python3.11."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: Python's venv is missing; install it (Debian: sudo apt install python3-venv) and try again."; exit 1; }
	@echo "Setting up $(VENV): once, a few minutes, 2.5 to 6 GB ..."
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --no-input --disable-pip-version-check -e '.[all,test,e2e]'
	@touch $@
