package org.lvtmobile.core

/**
 * Keeps the last two computed rows. For algorithms that read pairs of neighbouring rows which are
 * expensive to compute.
 *
 * @param compute returns a row. It may overwrite and return the evicted row.
 */
internal class RowCache<T : Any>(private val compute: (row: Int, evicted: T?) -> T) {
    private val rows = intArrayOf(-1, -1)
    private val values = arrayOfNulls<Any>(2)

    @Suppress("UNCHECKED_CAST") // `values` contains results of `compute` only
    operator fun get(row: Int): T {
        val slot = row % 2 // neighbouring rows have different slots
        if (rows[slot] != row) {
            values[slot] = compute(row, values[slot] as T?)
            rows[slot] = row
        }
        return values[slot] as T
    }

    /** Invalidates both rows. */
    fun clear() = rows.fill(-1)
}
