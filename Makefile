# Everything happens in one virtual environment, .venv, which these targets make from nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT := out
DEMO := $(OUT)/demo_panoptic_256x320
ARM := $(OUT)/arm
GPU := $(OUT)/gpu
FRAMEWORK := /usr/share/android-framework-res/framework-res.apk

.PHONY: demo test android web arm gpu golden gallery docs docs-check lint format clean

demo: $(VENV)/.ready
	mkdir -p $(OUT)
	$(BIN)/lvt-export all --ckpt demo --out $(OUT)
	$(BIN)/python -m lvt.demo 7 -o $(OUT)/scene.png
	$(BIN)/lvt-run $(DEMO).onnx-parts $(OUT)/scene.png -o $(OUT)/panoptic.png
	$(BIN)/lvt-bench $(DEMO).onnx-parts $(DEMO).tflite $(DEMO).pte
	@echo "The picture: $(OUT)/panoptic.png"

test: $(VENV)/.ready
	$(BIN)/pytest -n 2

# JDK 17 or newer and Maven 3.8 or newer; the libraries come from Maven Central. The app also needs Debian's aapt and
# android-framework-res, which link its resources.
CAN_LINK := $(and $(shell command -v aapt2),$(wildcard $(FRAMEWORK)))
android: $(VENV)/.ready
	$(BIN)/lvt-export onnx --ckpt demo --parts --out $(OUT)
	$(BIN)/lvt-export onnx --ckpt demo --whole --out $(OUT)
	mvn -q -B -f android_demo/pom.xml $(if $(CAN_LINK),,--projects core --projects cli) clean verify
	@$(if $(CAN_LINK),true,echo "The app is left out: Debian's aapt or android-framework-res is missing")
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

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	  { echo "Python 3.11 or 3.12 is needed: make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[all,coreai,qnn,test,docs]'
	touch $@

clean:
	rm -rf $(VENV) $(OUT)
