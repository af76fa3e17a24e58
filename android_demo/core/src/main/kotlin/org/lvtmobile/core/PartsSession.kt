package org.lvtmobile.core

/**
 * Runs the entry points of a panoptic model and the steps between them, with the outputs of the whole form.
 *
 * Boxes go through in batches of a fixed size, so an image with few of them pays for few. All buffers are
 * allocated once. Owns [entryPoints].
 *
 * @param nanoseconds a monotonic clock.
 */
class PartsSession(
    private val entryPoints: EntryPoints,
    parts: PartsInfo,
    nanoseconds: () -> Long = System::nanoTime,
) : Session, AutoCloseable by entryPoints {
    private val constants = parts.host
    private val clock = StageClock(nanoseconds)
    private val proposals = ProposalFinder(constants)
    private val detections = DetectionFinder(constants)
    private val boxFeatures = BoxFeatures(constants, constants.boxSize)
    private val maskFeatures = BoxFeatures(constants, constants.maskSize)
    private val boxInputs = zeros(parts.entryPoint(BOXES).inputs)
    private val maskInputs = zeros(parts.entryPoint(MASKS).inputs)
    private val scores = FloatArray(constants.proposals * (constants.things + 1))
    private val deltas = FloatArray(constants.proposals * constants.things * 4)
    private val masks = FloatArray(constants.detections * maskLength)

    /** Number of values of a mask. */
    private val maskLength: Int get() = 4 * constants.maskSize * constants.maskSize

    override var stages: StageTimes? = null
        private set

    override fun run(image: Tensor): Map<String, Tensor> {
        clock.clear()
        val core = clock.time(Stage.CORE) { entryPoints.call(CORE, mapOf(IMAGE to image)) }
        clock.time(Stage.PROPOSALS) { proposals.find(core) }
        detect(core)
        computeMasks(core)
        stages = StageTimes(clock.milliseconds(), proposals.count, detections.count)
        return outputs(core.getValue(SEMANTIC))
    }

    private fun detect(core: Map<String, Tensor>) {
        val features = boxInputs.getValue(FEATURES).values
        forEachBatch(proposals.count, constants.boxBatch) { first, count ->
            clock.time(Stage.PROPOSALS) { readFeatures(boxFeatures, core, proposals.boxes, first, count, features) }
            val outputs = clock.time(Stage.BOXES) { entryPoints.call(BOXES, boxInputs) }
            copyRows(outputs.getValue(SCORES).values, scores, constants.things + 1, first, count)
            copyRows(outputs.getValue(DELTAS).values, deltas, constants.things * 4, first, count)
        }
        clock.time(Stage.DETECTIONS) { detections.find(proposals.boxes, proposals.count, scores, deltas) }
    }

    private fun computeMasks(core: Map<String, Tensor>) {
        val features = maskInputs.getValue(FEATURES).values
        val classes = maskInputs.getValue(CLASSES).values
        forEachBatch(detections.count, constants.maskBatch) { first, count ->
            clock.time(Stage.DETECTIONS) {
                readFeatures(maskFeatures, core, detections.boxes, first, count, features)
                classes.fill(0f)
                for (i in 0 until count) classes[i * constants.things + detections.labels[first + i]] = 1f
            }
            val outputs = clock.time(Stage.MASKS) { entryPoints.call(MASKS, maskInputs) }
            copyRows(outputs.getValue(MASKS).values, masks, maskLength, first, count)
        }
    }

    /** Fills a batch with the features of [count] boxes; the rest of it becomes zero. */
    private fun readFeatures(
        reader: BoxFeatures,
        core: Map<String, Tensor>,
        boxes: FloatArray,
        first: Int,
        count: Int,
        batch: FloatArray,
    ) {
        for (i in 0 until count) reader.read(core, boxes, first + i, batch, i * reader.length)
        batch.fill(0f, count * reader.length, batch.size)
    }

    /** The outputs of the whole form: a fixed number of detections, and zeros for those that are missing. */
    private fun outputs(semantic: Tensor): Map<String, Tensor> {
        val slots = constants.detections
        val count = detections.count
        val cells = 2 * constants.maskSize
        val labels = FloatArray(slots) { if (it < count) detections.labels[it].toFloat() else 0f }
        masks.fill(0f, count * maskLength, masks.size)
        return mapOf(
            BOXES to Tensor(listOf(slots, 4), detections.boxes.copyOf(4 * count).copyOf(4 * slots)),
            SCORES to Tensor(listOf(slots), detections.scores.copyOf(count).copyOf(slots)),
            LABELS to Tensor(listOf(slots), labels),
            MASKS to Tensor(listOf(slots, cells, cells), masks),
            SEMANTIC to semantic,
        )
    }
}

/** Makes a session; closes the entry points if there is no memory for its buffers. */
fun EntryPoints.session(parts: PartsInfo): Session {
    var session: Session? = null
    try {
        session = PartsSession(this, parts)
        return session
    } finally {
        if (session == null) close()
    }
}

internal fun zeros(tensors: List<Manifest.TensorInfo>): Map<String, Tensor> =
    tensors.associate { it.name to Tensor(it.shape, FloatArray(it.shape.fold(1, Int::times))) }

/** Calls [action] with the first index and the number of items of each batch. */
private inline fun forEachBatch(count: Int, size: Int, action: (Int, Int) -> Unit) {
    for (first in 0 until count step size) action(first, minOf(size, count - first))
}

/** Copies the first [count] rows of a batch to the rows from [first]. */
private fun copyRows(batch: FloatArray, target: FloatArray, length: Int, first: Int, count: Int) {
    batch.copyInto(target, first * length, 0, count * length)
}
