package org.lvtmobile.core

/** Sides and counts beyond this are damage; buffers of this code depend on them. */
private const val MAX_COUNT = 1 shl 16

/** Number of values of the largest buffer. */
private const val MAX_VALUES = 1 shl 28
private const val BOX_VALUES = 4

/** Shapes of tensors by name. */
private typealias Shapes = Map<String, List<Int>>

/** Checks that the parts of a panoptic manifest fit together, and fit the rest of the manifest. */
internal object PartsValidator {
    /** Returns the first issue as one line, or null if the manifest has no parts or they are valid. */
    fun firstIssue(manifest: Manifest): String? {
        val parts = manifest.parts ?: return null
        return modelIssue(manifest, parts.host)
            ?: countIssue(parts.host)
            ?: numberIssue(parts.host)
            ?: levelIssue(parts.host)
            ?: sizeIssue(parts)
            ?: entryPointIssue(parts, manifest.inputs)
            ?: shapeIssue("the model", "output", manifest.outputs, modelOutputs(parts))
    }

    private fun modelIssue(manifest: Manifest, host: HostConstants): String? {
        val panoptic = manifest.model.panoptic ?: return "only a panoptic model can be in parts"
        val image = manifest.inputs.single()
        val size = listOf(image.axisLength('H'), image.axisLength('W'))
        return when {
            host.things != panoptic.things -> "parts are for ${host.things} things, not ${panoptic.things}"
            listOf(host.image.height, host.image.width) != size ->
                "parts are for images of ${host.image.height} x ${host.image.width}, not ${size.joinToString(" x ")}"
            else -> null
        }
    }

    private fun countIssue(host: HostConstants): String? = mapOf(
        "feature_levels" to host.featureLevels,
        "channels" to host.channels,
        "per_level" to host.perLevel,
        "proposals" to host.proposals,
        "box_size" to host.boxSize,
        "box_batch" to host.boxBatch,
        "detections" to host.detections,
        "mask_size" to host.maskSize,
        "mask_batch" to host.maskBatch,
    ).entries.find { it.value !in 1..MAX_COUNT }?.let { "parts: ${it.key} must be 1 to $MAX_COUNT, not ${it.value}" }

    private fun numberIssue(host: HostConstants): String? {
        val numbers = listOf(host.maxLogScale, host.proposalIou, host.scoreThreshold, host.detectionIou)
        val deltas = listOf(host.rpnStds, host.roiStds)
        return when {
            !(host.finestScale > 0 && host.finestScale.isFinite()) -> "parts: finest_scale must be greater than 0"
            numbers.any { !(it >= 0 && it.isFinite()) } -> "parts: a threshold or limit is not a positive number"
            deltas.any { it.size != BOX_VALUES || !it.all(Double::isFinite) } -> "parts: stds must have 4 numbers"
            else -> null
        }
    }

    private fun levelIssue(host: HostConstants): String? {
        if (host.featureLevels > host.levels.size) {
            return "parts: ${host.featureLevels} feature levels of ${host.levels.size}"
        }
        if (host.levels.distinctBy { it.name }.size < host.levels.size) return "parts: two levels have one name"
        for (level in host.levels) {
            val stride = level.stride
            if (stride !in 1..MAX_COUNT) return "parts: ${level.name} has stride $stride"
            val cells = Size(cellCount(host.image.height, stride), cellCount(host.image.width, stride))
            if (level.cells != cells) {
                return "parts: ${level.name} has ${level.cells.height} x ${level.cells.width} cells, " +
                    "but the image has ${cells.height} x ${cells.width}"
            }
            if (level.anchors.isEmpty() || level.anchors.any { it.size != BOX_VALUES || !it.all(Double::isFinite) }) {
                return "parts: each anchor of ${level.name} must have 4 numbers"
            }
        }
        return null
    }

    private fun cellCount(pixels: Int, stride: Int): Int = (pixels - 1) / stride + 1

    private fun sizeIssue(parts: PartsInfo): String? {
        val shapes = parts.entryPoints.flatMap { entry -> (entry.inputs + entry.outputs).map { it.shape } } +
            listOf(listOf(parts.host.proposals, BOX_VALUES, parts.host.things))
        val largest = shapes.find { shape -> shape.any { it < 1 } || shape.fold(1.0, Double::times) > MAX_VALUES }
        return largest?.let { "parts: shape $it is not positive or too large" }
    }

    private fun entryPointIssue(parts: PartsInfo, images: List<Manifest.TensorInfo>): String? {
        val names = parts.entryPoints.map { it.name }
        val expected = expectedTensors(parts.host)
        if (names.sorted() != expected.keys.sorted()) return "parts are $names instead of ${expected.keys.toList()}"
        for (entry in parts.entryPoints) {
            val (inputs, outputs) = expected.getValue(entry.name)
            val image = entry.name == CORE
            val inputIssue =
                if (image) imageIssue(entry, images) else shapeIssue(entry.name, "input", entry.inputs, inputs)
            val issue = inputIssue
                ?: shapeIssue(entry.name, "output", entry.outputs.filter { it.name != SEMANTIC }, outputs)
                ?: semanticIssue(entry, parts.host).takeIf { image }
            if (issue != null) return issue
        }
        return null
    }

    private fun imageIssue(core: EntryPointInfo, images: List<Manifest.TensorInfo>): String? {
        val fits = core.inputs == images && images.single().name == IMAGE
        return if (fits) null else "the input of $CORE must be that of the model, $IMAGE"
    }

    private fun semanticIssue(core: EntryPointInfo, host: HostConstants): String? {
        val shape = core.outputs.find { it.name == SEMANTIC }?.shape ?: return "$CORE has no output $SEMANTIC"
        val cells = host.levels.first().cells
        val fits = shape.size == BOX_VALUES && shape[0] == 1 && shape[1] > 0 &&
            shape.drop(2) == listOf(cells.height, cells.width)
        return if (fits) null else "$SEMANTIC of $CORE has shape $shape"
    }

    /** Compares names and shapes of tensors. */
    private fun shapeIssue(
        of: String,
        kind: String,
        tensors: List<Manifest.TensorInfo>,
        expected: Shapes,
    ): String? {
        val names = tensors.map { it.name }
        if (names.sorted() != expected.keys.sorted()) {
            return "$of has ${kind}s $names instead of ${expected.keys.toList()}"
        }
        val wrong = tensors.find { it.shape != expected.getValue(it.name) } ?: return null
        return "$kind ${wrong.name} of $of has shape ${wrong.shape} instead of ${expected.getValue(wrong.name)}"
    }

    /** Shapes of inputs and outputs of each entry point, without the image and the semantic logits. */
    private fun expectedTensors(host: HostConstants): Map<String, Pair<Shapes, Shapes>> {
        fun map(level: PyramidLevel, channels: Int) = listOf(1, level.cells.height, level.cells.width, channels)
        val pyramid = host.levels.take(host.featureLevels).associate { it.name to map(it, host.channels) }
        val objectness = host.levels.associate { it.objectness to map(it, it.anchors.size) }
        val deltas = host.levels.associate { it.deltas to map(it, BOX_VALUES * it.anchors.size) }
        val side = host.maskSize
        return mapOf(
            CORE to (emptyMap<String, List<Int>>() to pyramid + objectness + deltas),
            BOXES to (
                mapOf(FEATURES to listOf(host.boxBatch, host.boxSize * host.boxSize * host.channels)) to
                    mapOf(
                        SCORES to listOf(host.boxBatch, host.things + 1),
                        DELTAS to listOf(host.boxBatch, BOX_VALUES * host.things),
                    )
            ),
            MASKS to (
                mapOf(
                    FEATURES to listOf(host.maskBatch, side, side, host.channels),
                    CLASSES to listOf(host.maskBatch, host.things),
                ) to mapOf(MASKS to listOf(host.maskBatch, 2 * side, 2 * side))
            ),
        )
    }

    /** Shapes of the outputs of the model as a whole. */
    private fun modelOutputs(parts: PartsInfo): Shapes {
        val host = parts.host
        return mapOf(
            BOXES to listOf(host.detections, BOX_VALUES),
            SCORES to listOf(host.detections),
            LABELS to listOf(host.detections),
            MASKS to listOf(host.detections, 2 * host.maskSize, 2 * host.maskSize),
            SEMANTIC to parts.entryPoint(CORE).outputs.single { it.name == SEMANTIC }.shape,
        )
    }
}
