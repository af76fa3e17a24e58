package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class RunSettingsTest {
    @Test
    fun `offers thread counts up to the number of cores`() {
        assertEquals(listOf(1), threadCounts(1))
        assertEquals(listOf(1, 2, 4), threadCounts(4))
        assertEquals(listOf(1, 2, 4, 6, 8), threadCounts(8))
        assertEquals(listOf(1, 2, 4, 6, 8, 10), threadCounts(10))
    }
}
