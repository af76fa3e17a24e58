package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class RuntimesTest {
    /** Manifests and `lvt-bench` select runtimes by target and name. */
    @Test
    fun `runtimes have unique names and the targets of manifests`() {
        assertEquals(RUNTIMES.size, RUNTIMES.distinctBy { it.name }.size)
        assertEquals(setOf("onnx", "tflite"), RUNTIMES.map { it.target }.toSet())
    }
}
