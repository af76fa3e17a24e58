package org.lvtmobile.core

/** What a model says of a picture. */
sealed interface Answer {
    /** Classes, best first. */
    data class Classes(val ranked: List<ClassScore>) : Answer

    /** A class for each pixel of the picture. */
    data class Semantic(val labels: LabelMap) : Answer

    /**
     * A segment for each pixel of the picture.
     *
     * @property scores of the detections, by which segments' `detection` counts.
     */
    data class Panoptic(val map: PanopticMap, val scores: List<Float>) : Answer
}

/**
 * The answer to a picture of [original] size, from the outputs of a session.
 *
 * @throws UserError a bare backbone, which answers nothing.
 */
fun answer(artifact: Artifact, outputs: Map<String, Tensor>, original: Size): Answer {
    val manifest = artifact.manifest
    fun content() = artifact.preprocessing.contentSize(original)
    return when (manifest.task) {
        Task.BACKBONE -> throw UserError("${artifact.file.name} is a bare backbone; there is nothing to show of it")
        Task.CLASSIFICATION -> Answer.Classes(rankedClasses(outputs.getValue("logits")))
        Task.SEMANTIC -> Answer.Semantic(labelMap(outputs.getValue("logits"), artifact.size, content(), original))
        Task.PANOPTIC -> panopticAnswer(
            outputs,
            checkNotNull(manifest.model.panoptic) { "checked when the artifact was opened" },
            artifact.size,
            content(),
            original,
        )
    }
}

/**
 * Pastes the masks of the filled slots and fuses them with the semantic labels.
 *
 * @param outputs boxes (K, 4) in network pixels, scores (K,), 0 for an empty slot, labels (K,),
 *   masks (K, cells, cells) probabilities, semantic logits (1, stuff+1, H/4, W/4).
 * @param network size of the network's input.
 * @param content of the picture in it, without padding.
 * @param original of the picture the map is wanted for.
 */
fun panopticAnswer(
    outputs: Map<String, Tensor>,
    config: Manifest.PanopticInfo,
    network: Size,
    content: Size,
    original: Size,
): Answer.Panoptic {
    val scores = outputs.getValue("scores").values
    val filled = scores.indices.filter { scores[it] > 0 }
    val masks = outputs.getValue("masks")
    val cells = masks.shape[1]
    val boxes = outputs.getValue("boxes").values
    val scaleX = (content.width.toDouble() / original.width).toFloat()
    val scaleY = (content.height.toDouble() / original.height).toFloat()
    val pasted = filled.map { slot ->
        val box = Box(
            boxes[4 * slot] / scaleX,
            boxes[4 * slot + 1] / scaleY,
            boxes[4 * slot + 2] / scaleX,
            boxes[4 * slot + 3] / scaleY,
        )
        pasteMask(masks.values, slot * cells * cells, cells, box, original)
    }
    val found = filled.map { scores[it] }
    val labels = outputs.getValue("labels").values
    val map = fuse(
        pasted,
        found.toFloatArray(),
        IntArray(filled.size) { labels[filled[it]].toInt() },
        labelMap(outputs.getValue("semantic"), network, content, original),
        config,
    )
    return Answer.Panoptic(map, found)
}
