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

    private fun profileFiles() =
        File(System.getProperty("java.io.tmpdir")).list().orEmpty().filter { "lvt-profile" in it }.toSet()

    /** Profiles that stay. Those of another build on this machine go away. */
    private fun profilesBeside(before: Set<String>): Set<String> {
        val end = System.nanoTime() + 10_000_000_000
        while ((profileFiles() - before).isNotEmpty() && System.nanoTime() < end) Thread.sleep(50)
        return profileFiles() - before
    }

    /** On a desktop all kernels are the CPU's. With another name, the same profile must count none. */
    @ParameterizedTest
    @ValueSource(strings = ["lvt.artifact", "lvt.parts"])
    fun `counts the kernels of a provider`(property: String) {
        val artifact = artifact(property)
        fun placement(provider: String) = OrtSession.SessionOptions().use {
            KernelProvider(provider).placement(artifact, it) { error("not needed") }
        }
        val before = profileFiles()
        val all = placement("CPUExecutionProvider")
        assertTrue(all.total > 50, "$all")
        assertEquals(all.total, all.accelerated)
        assertEquals(Placement(0, all.total), placement("XnnpackExecutionProvider"))
        assertEquals(emptySet<String>(), profilesBeside(before))
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
        val kernels = kernels(profile)
        assertEquals(listOf("a", "b", "c"), kernels.map { it.operator })
        assertEquals(Placement(1, 3), placementOf(kernels, "XnnpackExecutionProvider"))
    }

    /** NNAPI's one kernel for many operators must not look like one operator. */
    @Test
    fun `counts the operators inside a fused kernel`() {
        val cpu = "CPUExecutionProvider"
        val before = listOf("a", "b", "c", "d").map { ProfiledKernel(it, cpu) }
        val fused = listOf(ProfiledKernel("NNAPI_1", "NnapiExecutionProvider"), ProfiledKernel("new", cpu), ProfiledKernel("c", cpu))
        assertEquals(Placement(3, 4), fusedPlacement(before, fused))
        assertEquals(Placement(0, 4), fusedPlacement(before, before.drop(1)))
    }

    /** Two operators of one name would be counted as one. NNAPI does not exist on a desktop, so it runs nothing. */
    @ParameterizedTest
    @ValueSource(strings = ["lvt.artifact", "lvt.parts"])
    fun `operators have names of their own`(property: String) {
        val artifact = artifact(property)
        val placement = OrtSession.SessionOptions().use { options ->
            NnapiProvider.placement(artifact, options) { OrtSession.SessionOptions().use(it) }
        }
        assertEquals(0, placement.accelerated)
        OrtSession.SessionOptions().use { options ->
            options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.BASIC_OPT)
            val kernels = profiles(artifact, options)
            assertEquals(placement.total, kernels.sumOf { it.size })
            for (graph in kernels) assertEquals(graph.size, graph.distinctBy { it.operator }.size)
        }
    }

    @Test
    fun `the CPU has no placement to tell`() {
        OnnxRuntime.open(artifact("lvt.artifact"), threads = 1).use { assertNull(it.placement) }
    }
}
