"""Runs a file in TensorFlow Lite 2.14: MODEL INPUT.npy OUTPUTS.npz. Knows nothing of ours."""

import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter

model, image, outputs = sys.argv[1:]
runner = Interpreter(model, num_threads=1).get_signature_runner("serving_default")
np.savez(outputs, **runner(image=np.load(image)))
