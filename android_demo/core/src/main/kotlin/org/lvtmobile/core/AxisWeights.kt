package org.lvtmobile.core

import kotlin.math.ceil
import kotlin.math.floor

/**
 * The cells that each bin of a box reads along one axis, and their weights.
 *
 * A bin averages evenly spaced samples: its length in cells, rounded up. A sample is interpolated between
 * two cells, and samples share cells, so their weights are added up. The buffers are reused.
 *
 * @param maxLength maximum number of cells of the axis.
 */
internal class AxisWeights(private val bins: Int, maxLength: Int) {
    private val width = (maxLength + bins - 1) / bins + 2
    private val firstCells = IntArray(bins)
    private val counts = IntArray(bins)
    private val weights = FloatArray(bins * width)

    /** The first cell that a bin reads. The others follow it. */
    fun firstCell(bin: Int): Int = firstCells[bin]

    /** Number of cells that a bin reads. */
    fun count(bin: Int): Int = counts[bin]

    /** Weight of a bin's cell with number [cell], 0 to count-1. */
    fun weight(bin: Int, cell: Int): Float = weights[bin * width + cell]

    /**
     * Computes the weights for a box.
     *
     * @param low begin of the box, in cells; the centre of cell i is at i.
     * @param high end of the box.
     * @param length number of cells of the axis.
     */
    fun compute(low: Float, high: Float, length: Int) {
        val binLength = (high - low) / bins
        val samples = ceil(binLength).toInt()
        weights.fill(0f)
        for (bin in 0 until bins) {
            counts[bin] = 0
            val start = low + bin * binLength
            for (sample in 0 until samples) {
                add(bin, sample, start + (sample + 0.5f) * binLength / samples, samples, length)
            }
        }
    }

    /** Adds the weights of a sample; positions rise by at most one cell from sample to sample. */
    private fun add(bin: Int, sample: Int, unclamped: Float, samples: Int, length: Int) {
        val position = unclamped.coerceIn(0f, (length - 1).toFloat())
        val floor = floor(position)
        val cell = floor.toInt()
        if (sample == 0) firstCells[bin] = cell
        if (!(unclamped >= -1 && unclamped <= length)) return // outside the map
        val offset = cell - firstCells[bin]
        weights[bin * width + offset] += (floor + 1f - position) / samples
        weights[bin * width + offset + 1] += (position - floor) / samples
        counts[bin] = minOf(offset + 2, length - firstCells[bin]) // no weight beyond the last cell
    }
}
