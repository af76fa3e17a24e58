package org.lvtmobile.core

import kotlin.math.sqrt

/**
 * Reads the features of boxes from the pyramid: RoIAlign with the official, adaptive number of samples.
 *
 * Every bin of a box's grid is a weighted sum of some 12 cells. Python adds them up in the same order.
 *
 * @param bins side of the grid.
 */
internal class BoxFeatures(private val constants: HostConstants, private val bins: Int) {
    private val finestScale = constants.finestScale.toFloat()
    private val rows: AxisWeights
    private val columns: AxisWeights

    init {
        val cells = constants.levels.take(constants.featureLevels).map { it.cells }
        rows = AxisWeights(bins, cells.maxOf { it.height })
        columns = AxisWeights(bins, cells.maxOf { it.width })
    }

    /** Number of values of a box: bins, bins, channels. */
    val length: Int = bins * bins * constants.channels

    /**
     * Reads the features of a box from the level for its size.
     *
     * @param core outputs of `core`.
     * @param boxes four values each, within the image. A box without area has zeros.
     * @param box number of the box.
     * @param target gets the values.
     * @param offset position of the first value.
     */
    fun read(core: Map<String, Tensor>, boxes: FloatArray, box: Int, target: FloatArray, offset: Int) {
        val level = constants.levels[levelIndex(boxes, box)]
        fun scaled(side: Int) = boxes[4 * box + side] / level.stride - 0.5f
        rows.compute(scaled(1), scaled(3), level.cells.height)
        columns.compute(scaled(0), scaled(2), level.cells.width)
        val cells = core.getValue(level.name).values
        target.fill(0f, offset, offset + length)
        for (bin in 0 until bins * bins) {
            addCells(cells, level.cells.width, bin / bins, bin % bins, target, offset + bin * constants.channels)
        }
    }

    /** Level floor(log2(side / finestScale)), clamped, by comparisons, which are exact. */
    private fun levelIndex(boxes: FloatArray, box: Int): Int {
        val area = (boxes[4 * box + 2] - boxes[4 * box]) * (boxes[4 * box + 3] - boxes[4 * box + 1])
        val side = sqrt(area) / finestScale + 1e-6f
        var level = 0
        while (level + 1 < constants.featureLevels && side >= (2 shl level).toFloat()) level++
        return level
    }

    private fun addCells(cells: FloatArray, width: Int, row: Int, column: Int, target: FloatArray, offset: Int) {
        val channels = constants.channels
        for (i in 0 until rows.count(row)) {
            val rowWeight = rows.weight(row, i)
            val first = (rows.firstCell(row) + i) * width + columns.firstCell(column)
            for (j in 0 until columns.count(column)) {
                val weight = rowWeight * columns.weight(column, j)
                if (weight != 0f) addScaled(weight, cells, (first + j) * channels, target, offset, channels)
            }
        }
    }
}

/** Adds [weight] times [count] values of [source] to values of [target]. A simple loop that compilers vectorize. */
private fun addScaled(weight: Float, source: FloatArray, from: Int, target: FloatArray, to: Int, count: Int) {
    for (i in 0 until count) target[to + i] += weight * source[from + i]
}
