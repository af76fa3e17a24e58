package org.lvtmobile.core

/**
 * Finds the detected instances: the (box, class) pairs above the score threshold, after one non-maximum
 * suppression over all classes. The buffers are reused.
 */
internal class DetectionFinder(private val constants: HostConstants) {
    private val threshold = constants.scoreThreshold.toFloat()
    private val decoder = BoxDecoder(constants.roiStds, constants.maxLogScale, constants.image)
    private val suppression = Suppression(constants.detections, constants.detectionIou)
    private val pairs = ScoreRanking(constants.proposals * constants.things)

    /** The detections of the last call of [find], best first: four values each. */
    val boxes = FloatArray(4 * constants.detections)

    /** Probabilities of the detections. */
    val scores = FloatArray(constants.detections)

    /** Thing classes of the detections. */
    val labels = IntArray(constants.detections)

    /** Number of detections of the last call of [find]. */
    var count: Int = 0
        private set

    /**
     * Finds the detections.
     *
     * @param proposals four values each.
     * @param number number of proposals.
     * @param boxScores (number, things+1), probabilities, background last.
     * @param deltas (number, things*4).
     */
    fun find(proposals: FloatArray, number: Int, boxScores: FloatArray, deltas: FloatArray) {
        rankPairs(number, boxScores)
        suppression.clear()
        count = 0
        for (rank in 0 until pairs.count) {
            if (suppression.isFull) break
            val pair = pairs.index(rank)
            val box = 4 * (pair / constants.things)
            decoder.decode(proposals[box], proposals[box + 1], proposals[box + 2], proposals[box + 3], deltas, 4 * pair)
            if (!suppression.keep(decoder.box)) continue
            decoder.box.copyInto(boxes, 4 * count)
            scores[count] = pairs.score(rank)
            labels[count++] = pair % constants.things
        }
    }

    private fun rankPairs(number: Int, boxScores: FloatArray) {
        val things = constants.things
        pairs.clear()
        for (box in 0 until number) {
            for (label in 0 until things) {
                val score = boxScores[box * (things + 1) + label]
                if (score > threshold) pairs.add(score, box * things + label)
            }
        }
        pairs.sort()
    }
}
