"""The panoptic model as one static graph, from image to boxes, masks and semantic logits."""
