package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import kotlin.math.abs
import kotlin.random.Random

/** The steps between the entry points must decide as Python does, because accuracy is measured in Python. */
class HostStepsTest {
    private val golden = GoldenParts.read()
    private val core = golden.core()

    /** Finding twice shows that no buffer keeps values of the run before. */
    @Test
    fun `proposals equal those of Python exactly`() {
        val finder = ProposalFinder(golden.host)
        repeat(2) {
            finder.find(core)
            assertEquals(golden.tensor("proposals").shape[0], finder.count)
            assertArrayEquals(golden.tensor("proposals").values, finder.boxes.copyOf(4 * finder.count))
        }
    }

    @Test
    fun `detections equal those of Python exactly`() {
        val proposals = golden.tensor("proposals")
        val scores = golden.tensor("scores")
        val deltas = golden.tensor("deltas")
        val finder = DetectionFinder(golden.host)
        repeat(2) {
            finder.find(proposals.values, proposals.shape[0], scores.values, deltas.values)
            assertEquals(golden.labels, finder.labels.take(finder.count))
            assertArrayEquals(golden.tensor("detected_scores").values, finder.scores.copyOf(finder.count))
            assertArrayEquals(golden.tensor("detected_boxes").values, finder.boxes.copyOf(4 * finder.count))
        }
    }

    /** Libraries add up in other orders, or with fused operations. */
    @TestFactory
    fun `features equal those of Python`(): List<DynamicTest> = listOf(
        "box_features" to golden.host.boxSize,
        "mask_features" to golden.host.maskSize,
    ).map { (name, bins) ->
        dynamicTest(name) {
            val expected = golden.tensor(name)
            val boxes = golden.tensor("boxes").values
            val reader = BoxFeatures(golden.host, bins)
            val actual = FloatArray(expected.values.size) { Float.NaN }
            for (box in 0 until boxes.size / 4) reader.read(core, boxes, box, actual, box * reader.length)
            val tolerance = FEATURE_TOLERANCE * (expected.values.max() - expected.values.min())
            val worst = actual.indices.maxOf { abs(actual[it] - expected.values[it]) }
            assertTrue(worst <= tolerance, "$worst > $tolerance")
        }
    }

    @Test
    fun `ranks the best scores as a stable sort does`() {
        val random = Random(1)
        for (length in listOf(0, 1, 7, 300)) {
            val values = FloatArray(length) { (random.nextInt(-20, 20) / 2).toFloat() }
            if (length > 2) values[length / 2] = Float.NaN // the worst
            for (limit in listOf(1, 5, 64, 300)) {
                val ranking = ScoreRanking(300)
                ranking.findBest(values, length, limit) { it }
                val best = values.indices.filter { !values[it].isNaN() }.sortedByDescending { values[it] + 0f }
                val expected = (best + values.indices.filter { values[it].isNaN() }).take(limit)
                assertEquals(expected, List(ranking.count) { ranking.index(it) }, "$limit of $length")
                for (rank in expected.indices.filter { !values[expected[it]].isNaN() }) {
                    assertEquals(values[expected[rank]] + 0f, ranking.score(rank))
                }
            }
        }
    }

    /** Only logits that can be among the best get a probability, which several logits can share. */
    @Test
    fun `ranks equal probabilities of different logits by index`() {
        val logits = floatArrayOf(0.1f, 17f, 18f, 40f, 30f, 17.5f)
        val ranking = ScoreRanking(3)
        ranking.findBest(logits, logits.size, 3, ::sigmoid)
        val expected = logits.indices.sortedByDescending { sigmoid(logits[it]) }.take(3)
        assertEquals(expected, List(3) { ranking.index(it) })
        assertEquals(listOf(2, 3, 4), expected)
    }

    /** The IoU of a kept pair may equal the threshold, and boxes without area have none. */
    @Test
    fun `suppresses boxes above the threshold only`() {
        val suppression = Suppression(capacity = 5, threshold = 0.5)
        fun keep(vararg box: Float) = suppression.keep(box)
        assertTrue(keep(0f, 0f, 4f, 4f))
        assertTrue(keep(0f, 0f, 4f, 2f), "half of the first")
        assertFalse(keep(0f, 0f, 4f, 2.25f))
        assertTrue(keep(4f, 0f, 8f, 4f), "touches the first")
        assertTrue(keep(1f, 1f, 1f, 1f))
        assertFalse(suppression.isFull)
        assertTrue(keep(1f, 1f, 1f, 1f))
        assertTrue(suppression.isFull)
    }

    private companion object {
        const val FEATURE_TOLERANCE = 1e-5f
    }
}
