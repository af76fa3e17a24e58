package org.lvtmobile.core

import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.assertThrows
import kotlin.math.abs

/** Preprocessing that differs from training reduces the accuracy without any visible error. */
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

    /** Integer arithmetic: no tolerance. */
    @TestFactory
    fun `resized pictures equal those of Python exactly`(): List<DynamicTest> =
        GoldenData.read<List<ResizeCase>>("resize.json").map { case ->
            dynamicTest("${case.picture} ${case.filter} ${case.size}") {
                val resized = resize(GoldenData.picture(case.picture), case.size, case.filter)
                assertEquals(case.size, resized.size)
                assertEquals(case.sha256, sha256(resized.rgb))
            }
        }

    @TestFactory
    fun `network inputs equal those of Python`(): List<DynamicTest> =
        GoldenData.read<List<Case>>("preprocessing.json").map { case ->
            dynamicTest(case.name) {
                val picture = GoldenData.picture(case.picture)
                val preprocessing = Preprocessing(case.specification.steps)
                val actual = preprocessing.apply(picture)
                val golden = case.tensor.read()
                assertEquals(golden.shape, actual.shape)
                val error = golden.values.indices.maxOf { abs(golden.values[it] - actual.values[it]) }
                assertEquals(0f, error, 1e-6f) // a larger error means another order of operations
                assertEquals(case.specification.golden.sha256, preprocessing.goldenSha256())
                if (case.content != null) assertEquals(case.content, preprocessing.contentSize(picture.size))
            }
        }

    @Test
    fun `rejects an invalid sequence of steps`() {
        val normalize = Normalize(1.0, listOf(0.0, 0.0, 0.0), listOf(1.0, 1.0, 1.0))
        val crop = CenterCrop(Size(8, 8))
        assertThrows<UserError> { Preprocessing(listOf(crop)) }
        assertThrows<UserError> { Preprocessing(listOf(normalize, crop)) }
        assertThrows<UserError> { Preprocessing(listOf(PadUp(32), normalize)) }
    }

    @Test
    fun `rejects a picture that does not fit`() {
        val normalize = Normalize(1.0, listOf(0.0, 0.0, 0.0), listOf(1.0, 1.0, 1.0))
        assertThrows<UserError> { Preprocessing(listOf(normalize, PadTo(Size(8, 8)))).apply(Picture.golden()) }
        assertThrows<UserError> { Preprocessing(listOf(CenterCrop(Size(999, 8)), normalize)).apply(Picture.golden()) }
    }
}
