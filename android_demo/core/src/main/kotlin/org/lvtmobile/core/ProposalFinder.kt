package org.lvtmobile.core

/**
 * Finds the boxes that may hold a thing: the best anchors of each pyramid level after non-maximum
 * suppression, then the best of all levels. The buffers are reused.
 */
internal class ProposalFinder(private val constants: HostConstants) {
    private val levels = constants.levels.map(::LevelAnchors)
    private val decoder = BoxDecoder(constants.rpnStds, constants.maxLogScale, constants.image)
    private val suppression = Suppression(constants.proposals, constants.proposalIou)
    private val anchors = ScoreRanking(levels.maxOf { it.selected })
    private val candidateScores = FloatArray(levels.sumOf { minOf(it.selected, constants.proposals) })
    private val candidateBoxes = FloatArray(4 * candidateScores.size)
    private val candidates = ScoreRanking(minOf(constants.proposals, candidateScores.size))

    /** The proposals of the last call of [find], best first, four values each. */
    val boxes = FloatArray(4 * constants.proposals)

    /** Number of proposals of the last call of [find]. */
    var count: Int = 0
        private set

    /** The anchors of a level at each of its cells. */
    private inner class LevelAnchors(val level: PyramidLevel) {
        val anchors = level.anchors.flatten().toFloats()
        val ratios = level.anchors.size

        /** Number of anchors that are decoded. */
        val selected = minOf(constants.perLevel, ratios * level.cells.area)

        fun decode(anchor: Int, deltas: FloatArray) {
            val cell = anchor / ratios
            val x = (cell % level.cells.width * level.stride).toFloat()
            val y = (cell / level.cells.width * level.stride).toFloat()
            val first = 4 * (anchor % ratios)
            decoder.decode(
                x + anchors[first],
                y + anchors[first + 1],
                x + anchors[first + 2],
                y + anchors[first + 3],
                deltas,
                4 * anchor,
            )
        }
    }

    /** Finds the proposals in the outputs of `core`. */
    fun find(core: Map<String, Tensor>) {
        var found = 0
        for (level in levels) found = addCandidates(level, core, found)
        candidates.findBest(candidateScores, found, constants.proposals) { it }
        count = candidates.count
        for (rank in 0 until count) {
            val first = 4 * candidates.index(rank)
            candidateBoxes.copyInto(boxes, 4 * rank, first, first + 4)
        }
    }

    /** Adds the proposals of a level to the [found] candidates; returns the new number. */
    private fun addCandidates(source: LevelAnchors, core: Map<String, Tensor>, found: Int): Int {
        val logits = core.getValue(source.level.objectness).values
        val deltas = core.getValue(source.level.deltas).values
        anchors.findBest(logits, logits.size, source.selected, ::sigmoid)
        suppression.clear()
        var next = found
        for (rank in 0 until anchors.count) {
            if (suppression.isFull) break
            source.decode(anchors.index(rank), deltas)
            if (!decoder.hasArea || !suppression.keep(decoder.box)) continue
            decoder.box.copyInto(candidateBoxes, 4 * next)
            candidateScores[next++] = anchors.score(rank)
        }
        return next
    }
}
