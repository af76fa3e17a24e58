package org.lvtmobile.core

import ai.onnxruntime.OrtSession
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import java.io.File

class OnnxPlacementTest {
    private fun artifact(property: String): Artifact {
        val file = File(System.getProperty(property))
        assumeTrue(file.exists(), "$file is missing; `make android` exports it")
        return Artifact.open(file)
    }

    private fun profiles() = File(System.getProperty("java.io.tmpdir")).list().orEmpty().filter { "lvt-profile" in it }

    /** On a desktop all kernels are the CPU's. With another name, the same profile must count none. */
    @ParameterizedTest
    @ValueSource(strings = ["lvt.artifact", "lvt.parts"])
    fun `counts the kernels of a provider`(property: String) {
        val artifact = artifact(property)
        fun placement(provider: String) = OrtSession.SessionOptions().use {
            profiledPlacement(artifact, artifact.file, it, provider)
        }
        val before = profiles()
        val all = placement("CPUExecutionProvider")
        assertTrue(all.total > 50, "$all")
        assertEquals(all.total, all.accelerated)
        assertEquals(Placement(0, all.total), placement("XnnpackExecutionProvider"))
        assertEquals(before, profiles(), "no profile stays")
    }

    @Test
    fun `counts kernels, not other events`() {
        fun event(name: String, provider: String, category: String = "Node") =
            """{"cat":"$category","name":"$name","args":{"provider":"$provider"}}"""
        val profile = listOf(
            event("a_kernel_time", "XnnpackExecutionProvider"),
            event("b_kernel_time", "CPUExecutionProvider"),
            event("b_fence_before", "CPUExecutionProvider"),
            event("model_run", "", category = "Session"),
            """{"cat":"Node","name":"c_kernel_time"}""",
        ).joinToString(",", "[", "]")
        assertEquals(Placement(1, 3), placementOf(profile, "XnnpackExecutionProvider"))
    }

    @Test
    fun `the CPU has no placement to tell`() {
        OnnxRuntime.open(artifact("lvt.artifact"), threads = 1).use { assertNull(it.placement) }
    }
}
