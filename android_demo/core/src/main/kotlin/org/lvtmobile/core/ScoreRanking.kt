package org.lvtmobile.core

private const val INDEX_MASK = 0xffffffffL

/** Computes the score of a value. A higher value never has a lower score. */
internal fun interface Score {
    fun of(value: Float): Float
}

/**
 * Items by falling score; equal scores in order of their indices. The buffer is reused.
 *
 * @param capacity maximum number of items.
 */
internal class ScoreRanking(capacity: Int) {
    /** A better item has a larger key: the score is in the upper bits, the falling index in the lower ones. */
    private val keys = LongArray(capacity)

    /** Number of items. */
    var count: Int = 0
        private set

    /** Index of the item at [rank]; 0 is the best. */
    fun index(rank: Int): Int = indexOf(keys[count - 1 - rank])

    /** Score of the item at [rank]. */
    fun score(rank: Int): Float = Float.fromBits(orderedBits((keys[count - 1 - rank] shr Int.SIZE_BITS).toInt()))

    /** Removes all items. */
    fun clear() {
        count = 0
    }

    /** Adds an item. The items are in order after [sort]. */
    fun add(score: Float, index: Int) {
        keys[count++] = key(score, index)
    }

    fun sort() = keys.sort(0, count)

    /**
     * Replaces the items by those with the best scores among the first [length] values, at most [limit].
     *
     * Scores are computed only for values that can be among the best so far.
     */
    fun findBest(values: FloatArray, length: Int, limit: Int, score: Score) {
        clear()
        for (index in 0 until minOf(length, limit)) add(score.of(values[index]), index)
        if (count in 1 until length) replaceWorse(values, length, score)
        sort()
    }

    /** Keeps the best items in a heap whose root is the worst of them. */
    private fun replaceWorse(values: FloatArray, length: Int, score: Score) {
        for (root in count / 2 - 1 downTo 0) sink(root)
        var worst = values[indexOf(keys[0])]
        for (index in count until length) {
            if (values[index] <= worst) continue // with the same score, the earlier item is better
            val key = key(score.of(values[index]), index)
            if (key <= keys[0]) continue
            keys[0] = key
            sink(0)
            worst = values[indexOf(keys[0])]
        }
    }

    private fun sink(root: Int) {
        val key = keys[root]
        var hole = root
        while (true) {
            var child = 2 * hole + 1
            if (child >= count) break
            if (child + 1 < count && keys[child + 1] < keys[child]) child++
            if (keys[child] >= key) break
            keys[hole] = keys[child]
            hole = child
        }
        keys[hole] = key
    }

    private fun key(score: Float, index: Int): Long {
        // Not a number is the worst score; -0 and 0 are equal.
        val ordered = if (score.isNaN()) Int.MIN_VALUE else orderedBits((score + 0f).toRawBits())
        return (ordered.toLong() shl Int.SIZE_BITS) or (Int.MAX_VALUE - index).toLong()
    }

    private fun indexOf(key: Long): Int = Int.MAX_VALUE - (key and INDEX_MASK).toInt()

    /** Bits of a float as an integer of the same order, and back. */
    private fun orderedBits(bits: Int): Int = bits xor (bits shr Int.SIZE_BITS - 1 and Int.MAX_VALUE)
}
