package org.lvtmobile.core

import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.assertThrows
import kotlin.math.abs

/** A phone that prepares pictures otherwise than training did loses accuracy that nobody sees. */
class PreprocessingTest {
    @Serializable
    private data class ResizeCase(val picture: String, val filter: ResizeFilter, val size: Size, val sha256: String)

    @Serializable
    private data class Case(
        val name: String,
        val picture: String,
        val specification: Manifest.PreprocessingInfo,
        val content: Size?,
        val tensor: TensorFile,
    )

    /** Integer arithmetic: there is no tolerance. */
    @TestFactory
    fun `resizes are Python's to the bit`(): List<DynamicTest> =
        Golden.read<List<ResizeCase>>("resize.json").map { case ->
            dynamicTest("${case.picture} ${case.filter} ${case.size}") {
                val resized = resize(Golden.picture(case.picture), case.size, case.filter)
                assertEquals(case.size, resized.size)
                assertEquals(case.sha256, sha256(resized.rgb))
            }
        }

    @TestFactory
    fun `network inputs are Python's`(): List<DynamicTest> =
        Golden.read<List<Case>>("preprocessing.json").map { case ->
            dynamicTest(case.name) {
                val picture = Golden.picture(case.picture)
                val preprocessing = Preprocessing(case.specification.steps)
                val ours = preprocessing.apply(picture)
                val golden = case.tensor.read()
                assertEquals(golden.shape, ours.shape)
                val error = golden.values.indices.maxOf { abs(golden.values[it] - ours.values[it]) }
                assertEquals(0f, error, 1e-6f) // float32 as Python rounds it; more would be another order
                assertEquals(case.specification.golden.sha256, preprocessing.goldenSha256())
                if (case.content != null) assertEquals(case.content, preprocessing.contentSize(picture.size))
            }
        }

    @Test
    fun `a sequence nobody can mean is refused`() {
        val normalise = Normalise(1.0, listOf(0.0, 0.0, 0.0), listOf(1.0, 1.0, 1.0))
        val crop = CenterCrop(Size(8, 8))
        assertThrows<UserError> { Preprocessing(listOf(crop)) }
        assertThrows<UserError> { Preprocessing(listOf(normalise, crop)) }
        assertThrows<UserError> { Preprocessing(listOf(PadUp(32), normalise)) }
    }

    @Test
    fun `what does not fit is refused, not cut`() {
        val normalise = Normalise(1.0, listOf(0.0, 0.0, 0.0), listOf(1.0, 1.0, 1.0))
        assertThrows<UserError> { Preprocessing(listOf(normalise, PadTo(Size(8, 8)))).apply(Picture.golden()) }
        assertThrows<UserError> { Preprocessing(listOf(CenterCrop(Size(999, 8)), normalise)).apply(Picture.golden()) }
    }
}
