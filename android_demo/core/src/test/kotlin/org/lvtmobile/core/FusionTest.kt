package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class FusionTest {
    private val config = Manifest.PanopticInfo(
        things = 1,
        stuff = 1,
        fusion = FusionConfig(maskThreshold = 0.5, maxOverlap = 0.5, minStuffArea = 1),
    )
    private val size = Size(height = 1, width = 7)
    private val scores = floatArrayOf(0.2f, 0.9f, 0.5f)

    /** Columns of each mask: the second and the third overlap. */
    private val columns = listOf(4..5, 0..2, 2..3)

    private fun mask(columns: IntRange) = PastedMask(0..0, columns, FloatArray(columns.count()) { 1f })

    /** At 2048 pixels a mask has up to 16 MB, so a hundred of them must not exist at the same time. */
    @Test
    fun `needs one mask at a time`() {
        val order = mutableListOf<Int>()
        val shared = FloatArray(3)
        val map = fuse(
            { index ->
                order += index
                shared.fill(0f) // what an earlier call returned is no longer valid
                shared.fill(1f, 0, columns[index].count())
                PastedMask(0..0, columns[index].first until columns[index].first + 3, shared)
            },
            scores,
            IntArray(3),
            LabelMap(size, IntArray(7)),
            config,
        )
        assertEquals(listOf(1, 2, 0), order)
        assertArrayEquals(intArrayOf(1000, 1000, 1000, 2000, 3000, 3000, 1), map.ids.values)
    }

    @Test
    fun `a covered instance is dropped and leaves no number unused`() {
        val map = fuse(
            { mask(if (it == 2) 1..2 else columns[it]) },
            scores,
            IntArray(3),
            LabelMap(size, IntArray(7)),
            config,
        )
        assertArrayEquals(intArrayOf(1000, 1000, 1000, 1, 2000, 2000, 1), map.ids.values)
        assertEquals(listOf(1, 0, null), map.segments.map { it.detection })
    }
}
