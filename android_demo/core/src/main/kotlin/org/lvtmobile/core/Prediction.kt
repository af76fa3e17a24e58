package org.lvtmobile.core

/** The decoded result of a model for one picture. */
sealed interface Prediction {
    /** Classification: all classes, most probable first. */
    data class Classes(val ranked: List<ClassScore>) : Prediction

    /** Semantic segmentation: one class per pixel of the picture. */
    data class Semantic(val labels: LabelMap) : Prediction

    /**
     * Panoptic segmentation: one segment per pixel of the picture.
     *
     * @property scores scores of the detections; `Segment.detection` is an index into this list.
     */
    data class Panoptic(val map: PanopticMap, val scores: List<Float>) : Prediction
}

/**
 * Decodes the outputs of a session into the prediction for a picture of size [original].
 *
 * @throws UserError the artifact is a bare backbone, which has no prediction.
 */
fun decodeOutputs(artifact: Artifact, outputs: Map<String, Tensor>, original: Size): Prediction {
    val manifest = artifact.manifest
    fun content() = artifact.preprocessing.contentSize(original)
    return when (manifest.task) {
        Task.BACKBONE -> throw UserError("${artifact.file.name} is a backbone; it has no prediction to show")
        Task.CLASSIFICATION -> Prediction.Classes(rankClasses(outputs.getValue("logits")))
        Task.SEMANTIC -> Prediction.Semantic(labelMap(outputs.getValue("logits"), artifact.size, content(), original))
        Task.PANOPTIC -> decodePanoptic(
            outputs,
            checkNotNull(manifest.model.panoptic) { "Artifact.open checks that model.panoptic exists" },
            artifact.size,
            content(),
            original,
        )
    }
}

/**
 * Pastes the masks of all detections, one at a time, and fuses them with the semantic labels.
 *
 * @param outputs boxes (K, 4) in pixels of the network input, scores (K,) with 0 for an empty slot,
 *   labels (K,), masks (K, cells, cells) as probabilities, semantic logits (1, stuff+1, H/4, W/4).
 * @param network size of the network input.
 * @param content size of the picture inside the network input, without padding.
 * @param original size of the original picture, and of the resulting map.
 */
fun decodePanoptic(
    outputs: Map<String, Tensor>,
    config: Manifest.PanopticInfo,
    network: Size,
    content: Size,
    original: Size,
): Prediction.Panoptic {
    val scores = outputs.getValue("scores").values
    val slots = scores.indices.filter { scores[it] > 0 }
    val masks = outputs.getValue("masks")
    val cells = masks.shape[1]
    val boxes = outputs.getValue("boxes").values
    val scaleX = (content.width.toDouble() / original.width).toFloat()
    val scaleY = (content.height.toDouble() / original.height).toFloat()
    fun mask(index: Int): PastedMask {
        val slot = slots[index]
        val box = Box(
            boxes[4 * slot] / scaleX,
            boxes[4 * slot + 1] / scaleY,
            boxes[4 * slot + 2] / scaleX,
            boxes[4 * slot + 3] / scaleY,
        )
        return pasteMask(masks.values, slot * cells * cells, cells, box, original)
    }
    val detectionScores = slots.map { scores[it] }
    val labels = outputs.getValue("labels").values
    val map = fuse(
        ::mask,
        detectionScores.toFloatArray(),
        IntArray(slots.size) { labels[slots[it]].toInt() },
        labelMap(outputs.getValue("semantic"), network, content, original),
        config,
    )
    return Prediction.Panoptic(map, detectionScores)
}
