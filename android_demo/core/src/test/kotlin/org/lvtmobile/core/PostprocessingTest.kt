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

/** What a person sees is made here; Python measured the accuracy of its own. */
class PostprocessingTest {
    @Serializable
    private data class RankingCase(val logits: List<Double>, val indices: List<Int>, val probabilities: List<Double>)

    @Test
    fun `classes are ranked as in Python, ties too`() {
        for (case in Golden.read<List<RankingCase>>("ranking.json")) {
            val logits = case.logits.map { it.toFloat() }.toFloatArray()
            val ranked = rankedClasses(Tensor(listOf(1, logits.size), logits))
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
    fun `label maps are Python's`(): List<DynamicTest> =
        Golden.read<List<SemanticCase>>("semantic.json").map { case ->
            dynamicTest(case.labels) {
                val ours = labelMap(case.logits.read(), case.network, case.content, case.original)
                assertTrue(agreement(ours, Golden.map(case.labels)) >= SAME_PIXELS)
            }
        }

    /** Leaving out what needs no blending must change no pixel, at any size and with close classes. */
    @Test
    fun `label maps are those of whole planes blended one after the other`() {
        val random = Random(3)
        for ((network, content, original) in listOf(
            Triple(Size(64, 96), Size(64, 96), Size(64, 96)),
            Triple(Size(64, 96), Size(50, 96), Size(131, 251)),
            Triple(Size(64, 96), Size(64, 70), Size(31, 33)),
        )) {
            val (height, width) = Size(network.height / 4, network.width / 4)
            for (lead in listOf(LEVEL.ulp, 1f)) { // one that rounding takes back at times, and a clear one
                val values = FloatArray(CLASSES * height * width) { random.nextFloat() * 0.5f }
                for (place in 0 until height * width) {
                    val block = place / width / 5 + place % width / 6
                    values[block % CLASSES * height * width + place] = LEVEL + lead
                    values[(block + 1) % CLASSES * height * width + place] = LEVEL
                }
                val logits = Tensor(listOf(1, CLASSES, height, width), values)
                val labels = labelMap(logits, network, content, original).values
                assertArrayEquals(plainLabels(logits, network, content, original), labels, "$original, lead $lead")
                assertTrue((0 until CLASSES).all { it in labels })
            }
        }
    }

    private fun plainLabels(logits: Tensor, network: Size, content: Size, original: Size): IntArray {
        val quarter = Size(logits.shape[2], logits.shape[3])
        val planes = List(CLASSES) { label ->
            val plane = logits.values.copyOfRange(label * quarter.area, (label + 1) * quarter.area)
            plainResize(plainResize(plane, quarter, network, content), content, original, original)
        }
        return IntArray(original.area) { i -> planes.indices.maxBy { planes[it][i] } }
    }

    /** Columns, then rows. */
    private fun plainResize(plane: FloatArray, from: Size, to: Size, kept: Size): FloatArray {
        if (from == to && to == kept) return plane
        fun blend(i: Int, length: Int, target: Int, value: (Int) -> Float): Float {
            val free = (length.toFloat() / target * (i + 0.5f) - 0.5f).coerceAtLeast(0f)
            val position = if (length == target) i.toFloat() else free
            val before = position.toInt().coerceAtMost(length - 1)
            val share = (position - before).coerceIn(0f, 1f)
            return (1f - share) * value(before) + share * value((before + 1).coerceAtMost(length - 1))
        }
        return FloatArray(kept.area) { place ->
            blend(place / kept.width, from.height, to.height) { y ->
                blend(place % kept.width, from.width, to.width) { x -> plane[y * from.width + x] }
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

    /** float32 in NumPy's order: there is no tolerance. */
    @TestFactory
    fun `pasted masks are Python's to the bit`(): List<DynamicTest> =
        Golden.read<List<PasteCase>>("paste.json").map { case ->
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
    fun `panoptic maps are Python's, with all segments`(): List<DynamicTest> =
        Golden.read<List<PanopticCase>>("panoptic.json").map { case ->
            dynamicTest(case.ids) {
                val outputs = case.outputs.mapValues { it.value.read() }
                val ours = panopticAnswer(outputs, case.config, case.network, case.content, case.original).map
                assertEquals(case.void, ours.void)
                assertSamePanoptic(ours, Golden.map(case.ids), case.segments)
            }
        }
}

private const val CLASSES = 4
private const val LEVEL = 0.7f

/** A segment in the cases of panoptic maps. */
@Serializable
internal data class GoldenSegment(val id: Int, val label: Int, val area: Int, val detection: Int?)

/** All segments, and [SAME_PIXELS]. */
internal fun assertSamePanoptic(ours: PanopticMap, ids: LabelMap, segments: List<GoldenSegment>) {
    assertEquals(
        segments.map { Triple(it.id, it.label, it.detection) },
        ours.segments.map { Triple(it.id, it.label, it.detection) },
    )
    assertTrue(agreement(ours.ids, ids) >= SAME_PIXELS)
    for (segment in ours.segments) assertEquals(ours.ids.values.count { it == segment.id }, segment.area)
}
