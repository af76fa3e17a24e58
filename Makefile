# Everything happens in one virtual environment, .venv, which these targets make from nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT := out
DEMO := $(OUT)/demo_panoptic_256x320
ARM := $(OUT)/arm
GPU := $(OUT)/gpu
FRAMEWORK := /usr/share/android-framework-res/framework-res.apk

.PHONY: demo demo-all test test-fast android web arm gpu golden gallery figures docs docs-check lint format lock wheel clean

# The base packages are enough for ONNX.
demo: $(VENV)/.base
	$(BIN)/lvt-export onnx --ckpt demo --out $(OUT)
	$(call show,$(DEMO).onnx-parts)

demo-all: $(VENV)/.ready
	$(BIN)/lvt-export all --ckpt demo --out $(OUT)
	$(call show,$(DEMO).onnx-parts $(DEMO).tflite $(DEMO).pte)

# A picture by the first of some artifacts, and the latency of all.
define show
$(BIN)/python -m lvt.demo 7 -o $(OUT)/scene.png
$(BIN)/lvt-run $(firstword $(1)) $(OUT)/scene.png -o $(OUT)/panoptic.png
$(BIN)/lvt-bench $(1) --html $(OUT)/report.html
@echo "The picture: $(OUT)/panoptic.png, the report: $(OUT)/report.html"
endef

PYTEST := $(BIN)/pytest -n 2 --durations 20

test: $(VENV)/.ready
	$(PYTEST)

# Without the tests that take more than two seconds: they convert models, start programs, or train.
test-fast: $(VENV)/.ready
	$(PYTEST) -m "not slow"

# JDK 17 or newer and Maven 3.8 or newer; the libraries come from Maven Central. The app also needs Debian's aapt and
# android-framework-res, which link its resources, and npm, which has ExecuTorch's classes.
CAN_BUILD_APP := $(and $(shell command -v aapt2),$(shell command -v npm),$(wildcard $(FRAMEWORK)))
android: $(VENV)/.ready
	$(BIN)/lvt-export onnx --ckpt demo --parts --out $(OUT)
	$(BIN)/lvt-export onnx --ckpt demo --whole --out $(OUT)
	$(BIN)/lvt-quantize onnx --ckpt demo --calib demo --out $(OUT)
	mvn -q -B -f android_demo/pom.xml $(if $(CAN_BUILD_APP),,--projects core --projects cli) clean verify
	@$(if $(CAN_BUILD_APP),true,echo "The app is left out: npm, or Debian's aapt or android-framework-res, is missing")
	@echo "The core and its command line: android_demo/cli/target/lvt-core.jar"
	@if { command -v aapt2 && command -v zipalign && command -v apksigner && ls $(FRAMEWORK); } >/dev/null 2>&1; \
	  then android_demo/maven/pack-apk.sh $(OUT)/lvt-demo.apk && echo "An APK to look at, not to ship: $(OUT)/lvt-demo.apk"; \
	  else echo "No APK is packed: Debian's aapt, android-framework-res, zipalign or apksigner is missing"; fi

# onnxruntime-web for `lvt-bench serve`, with npm, into the user's cache.
web: $(VENV)/.ready
	$(BIN)/lvt-bench serve --setup

# Optional, on Debian: the kernels that phones run, emulated (docs/arm.md). Fetches QEMU, an arm64
# Python and wheels into the user's cache first.
arm: $(VENV)/.ready
	$(BIN)/lvt-verify --on arm
	for target in onnx tflite; do \
	  $(BIN)/lvt-export $$target --ckpt demo --size 128x160 --out $(ARM) && \
	  $(BIN)/lvt-quantize $$target --ckpt demo --calib demo --size 128x160 --out $(ARM) || exit; done
	$(BIN)/lvt-verify --on arm $(ARM)/*.onnx-parts $(ARM)/*.tflite --ckpt demo

# Optional, on Debian: LiteRT's GPU accelerator on software GPUs (docs/gpu.md). Fetches SwiftShader and
# Mesa into the user's cache first.
gpu: $(VENV)/.ready
	$(BIN)/lvt-verify --on gpu
	for precision in fp32 fp16; do \
	  $(BIN)/lvt-export tflite --ckpt demo --precision $$precision --strict --gpu --out $(GPU) || exit; done
	$(BIN)/lvt-verify --on gpu $(GPU)/*.tflite

# Only where Python is right and Kotlin has to follow.
golden: $(VENV)/.ready
	$(BIN)/python -m tests.golden.make

# The pictures of docs/gallery.md.
gallery: $(VENV)/.ready
	$(BIN)/lvt-export onnx --ckpt demo --out $(OUT)
	$(BIN)/lvt-quantize onnx --ckpt demo --calib demo --out $(OUT) --plot docs/gallery/blocks.png
	$(BIN)/python docs/gallery.py $(DEMO).onnx-parts $(DEMO)_int8.onnx-parts docs/gallery

# The figures of README and docs, from the records of `lvt-bench suite`, and docs/cli.md. Nothing is measured.
figures: $(VENV)/.ready
	$(BIN)/python -m device_bench.figures

# The pages, in out/site; a link that leads nowhere is an error.
docs: $(VENV)/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --clean

# The commands of README and docs: parsed, those of the tutorial run; the messages that docs quote.
docs-check: $(VENV)/.ready
	$(BIN)/pytest -q tests/docs

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Two stamps: the base packages, and those of all extras and of development. Packages come from the lock files.
$(VENV)/.base: pyproject.toml requirements/base.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	  { echo "Python 3.11 to 3.14 is needed: make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	.ci/install $(VENV) base
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.ready: $(VENV)/.base requirements/dev.txt
	.ci/install $(VENV) dev
	touch $@

# New versions for the lock files; needs the package index. base.txt has the versions of dev.txt.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-build-options --upgrade pyproject.toml
lock: $(VENV)/.ready
	$(COMPILE) --all-extras --group dev --output-file requirements/dev.txt
	$(COMPILE) --constraint requirements/dev.txt --output-file requirements/base.txt

# In out/dist: built, installed beside its base packages only, and tried outside of the repository.
wheel: $(VENV)/.ready
	$(BIN)/python -m tests.docs.wheel --link $(OUT)/dist

clean:
	rm -rf $(VENV) $(OUT)
