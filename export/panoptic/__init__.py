"""The panoptic model as one graph of static shapes: image to boxes, masks, semantic logits."""
