package org.lvtmobile.core

/**
 * Rows that are costly to make and wanted in pairs of neighbours: the last two stay.
 *
 * @param make gives a row; the one that it replaces may be written over and given again.
 */
internal class LastTwo<T : Any>(private val make: (row: Int, replaced: T?) -> T) {
    private val rows = intArrayOf(-1, -1)
    private val values = arrayOfNulls<Any>(2)

    @Suppress("UNCHECKED_CAST") // only `make` writes into `values`
    operator fun get(row: Int): T {
        val slot = row % 2 // neighbours never share one
        if (rows[slot] != row) {
            values[slot] = make(row, values[slot] as T?)
            rows[slot] = row
        }
        return values[slot] as T
    }

    /** Has rows made anew. */
    fun forget() = rows.fill(-1)
}
