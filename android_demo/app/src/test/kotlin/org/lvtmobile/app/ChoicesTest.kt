package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.lvtmobile.core.Size

class ChoicesTest {
    @Test
    fun `numbers of threads that a phone can use`() {
        assertEquals(listOf(1), threadCounts(1))
        assertEquals(listOf(1, 2, 4), threadCounts(4))
        assertEquals(listOf(1, 2, 4, 6, 8), threadCounts(8))
        assertEquals(listOf(1, 2, 4, 6, 8, 10), threadCounts(10))
    }

    /** 50 megapixels at seven bytes each would end the app on most phones. */
    @Test
    fun `large photos are halved until they fit`() {
        assertEquals(1, sampleSize(Size(2048, 1536)))
        assertEquals(2, sampleSize(Size(3000, 4000)))
        assertEquals(4, sampleSize(Size(6120, 8160)))
    }

    /** A name that manifests or lvt-bench do not know could never be asked for. */
    @Test
    fun `runtimes have names of their own and the targets of manifests`() {
        assertEquals(RUNTIMES.size, RUNTIMES.distinctBy { it.name }.size)
        assertEquals(setOf("onnx", "tflite"), RUNTIMES.map { it.target }.toSet())
    }
}
