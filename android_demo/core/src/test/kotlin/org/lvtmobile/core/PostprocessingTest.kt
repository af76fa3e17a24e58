package org.lvtmobile.core

import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import kotlin.math.ulp
import kotlin.random.Random

/** Results must equal those of Python, because accuracy is measured in Python. */
class PostprocessingTest {
    @Serializable
    private data class RankingCase(val logits: List<Double>, val indices: List<Int>, val probabilities: List<Double>)

    @Test
    fun `ranks classes as in Python, including ties`() {
        for (case in GoldenData.read<List<RankingCase>>("ranking.json")) {
            val logits = case.logits.map { it.toFloat() }.toFloatArray()
            val ranked = rankClasses(Tensor(listOf(1, logits.size), logits))
            assertEquals(case.indices, ranked.map { it.index })
            assertArrayEquals(case.probabilities.toDoubleArray(), ranked.map { it.probability }.toDoubleArray(), 1e-12)
        }
    }

    @Serializable
    private data class SemanticCase(
        val logits: TensorFile,
        val network: Size,
        val content: Size,
        val original: Size,
        val labels: String,
    )

    @TestFactory
    fun `label maps equal those of Python`(): List<DynamicTest> =
        GoldenData.read<List<SemanticCase>>("semantic.json").map { case ->
            dynamicTest(case.labels) {
                val actual = labelMap(case.logits.read(), case.network, case.content, case.original)
                assertTrue(pixelAgreement(actual, GoldenData.map(case.labels)) >= MIN_PIXEL_AGREEMENT)
            }
        }

    /** Skipping the interpolation of unanimous pixels must not change a label, at any size and for close logits. */
    @Test
    fun `label maps equal those of a full interpolation`() {
        val random = Random(3)
        for ((network, content, original) in listOf(
            Triple(Size(64, 96), Size(64, 96), Size(64, 96)),
            Triple(Size(64, 96), Size(50, 96), Size(131, 251)),
            Triple(Size(64, 96), Size(64, 70), Size(31, 33)),
        )) {
            val (height, width) = Size(network.height / 4, network.width / 4)
            for (margin in listOf(TOP_LOGIT.ulp, 1f)) { // a margin within the rounding error, and a large one
                val values = FloatArray(CLASSES * height * width) { random.nextFloat() * 0.5f }
                for (position in 0 until height * width) {
                    val block = position / width / 5 + position % width / 6
                    values[block % CLASSES * height * width + position] = TOP_LOGIT + margin
                    values[(block + 1) % CLASSES * height * width + position] = TOP_LOGIT
                }
                val logits = Tensor(listOf(1, CLASSES, height, width), values)
                val labels = labelMap(logits, network, content, original).values
                val expected = referenceLabels(logits, network, content, original)
                assertArrayEquals(expected, labels, "$original, margin $margin")
                assertTrue((0 until CLASSES).all { it in labels })
            }
        }
    }

    private fun referenceLabels(logits: Tensor, network: Size, content: Size, original: Size): IntArray {
        val quarter = Size(logits.shape[2], logits.shape[3])
        val planes = List(CLASSES) { label ->
            val plane = logits.values.copyOfRange(label * quarter.area, (label + 1) * quarter.area)
            referenceResize(referenceResize(plane, quarter, network, content), content, original, original)
        }
        return IntArray(original.area) { i -> planes.indices.maxBy { planes[it][i] } }
    }

    /** Bilinear resize of columns, then rows. */
    private fun referenceResize(plane: FloatArray, from: Size, to: Size, crop: Size): FloatArray {
        if (from == to && to == crop) return plane
        fun blend(i: Int, length: Int, target: Int, value: (Int) -> Float): Float {
            val unclamped = (length.toFloat() / target * (i + 0.5f) - 0.5f).coerceAtLeast(0f)
            val position = if (length == target) i.toFloat() else unclamped
            val before = position.toInt().coerceAtMost(length - 1)
            val share = (position - before).coerceIn(0f, 1f)
            return (1f - share) * value(before) + share * value((before + 1).coerceAtMost(length - 1))
        }
        return FloatArray(crop.area) { position ->
            blend(position / crop.width, from.height, to.height) { y ->
                blend(position % crop.width, from.width, to.width) { x -> plane[y * from.width + x] }
            }
        }
    }

    @Serializable
    private data class PasteCase(
        val mask: TensorFile,
        val box: List<Float>,
        val size: Size,
        val probabilities: TensorFile,
    )

    /** Float32 operations in the same order as NumPy: no tolerance. */
    @TestFactory
    fun `pasted masks equal those of Python exactly`(): List<DynamicTest> =
        GoldenData.read<List<PasteCase>>("paste.json").map { case ->
            dynamicTest(case.probabilities.file) {
                val mask = case.mask.read()
                val box = case.box.let { (x1, y1, x2, y2) -> Box(x1, y1, x2, y2) }
                val pasted = pasteMask(mask.values, 0, mask.shape[0], box, case.size)
                val image = FloatArray(case.size.area)
                var next = 0
                for (y in pasted.rows) for (x in pasted.columns) image[y * case.size.width + x] = pasted.values[next++]
                assertArrayEquals(case.probabilities.read().values, image)
            }
        }

    @Serializable
    private data class PanopticCase(
        val config: Manifest.PanopticInfo,
        val network: Size,
        val content: Size,
        val original: Size,
        val outputs: Map<String, TensorFile>,
        val ids: String,
        val void: Int,
        val segments: List<GoldenSegment>,
    )

    @TestFactory
    fun `panoptic maps and segments equal those of Python`(): List<DynamicTest> =
        GoldenData.read<List<PanopticCase>>("panoptic.json").map { case ->
            dynamicTest(case.ids) {
                val outputs = case.outputs.mapValues { it.value.read() }
                val actual = decodePanoptic(outputs, case.config, case.network, case.content, case.original).map
                assertEquals(case.void, actual.void)
                assertSamePanoptic(actual, GoldenData.map(case.ids), case.segments)
            }
        }
}

private const val CLASSES = 4
private const val TOP_LOGIT = 0.7f

/** A segment of a golden panoptic map. */
@Serializable
internal data class GoldenSegment(val id: Int, val label: Int, val area: Int, val detection: Int?)

/** Requires equal segments, and a pixel pixelAgreement of [MIN_PIXEL_AGREEMENT]. */
internal fun assertSamePanoptic(actual: PanopticMap, ids: LabelMap, segments: List<GoldenSegment>) {
    assertEquals(
        segments.map { Triple(it.id, it.label, it.detection) },
        actual.segments.map { Triple(it.id, it.label, it.detection) },
    )
    assertTrue(pixelAgreement(actual.ids, ids) >= MIN_PIXEL_AGREEMENT)
    for (segment in actual.segments) assertEquals(actual.ids.values.count { it == segment.id }, segment.area)
}
