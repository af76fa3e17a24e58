"""The panoptic model in parts: heavy parts as entry points, and steps on the host between them.

Accelerators take convolutions and products whole, but not the choice of boxes and the reading of
their features. So the model is cut there:

1. `core`: image to pyramid, RPN maps and semantic logits.
2. Host: proposals from the RPN maps, features of each proposal from the pyramid.
3. `boxes`: features of a batch of boxes to class scores and deltas.
4. Host: detections, features of each detection.
5. `masks`: features of a batch of detections to the mask of each one's class.

Boxes go through in batches of a fixed size, so an image with few of them pays for few.
"""
