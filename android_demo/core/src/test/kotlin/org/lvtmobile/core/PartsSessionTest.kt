package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Runs a model whose entry points give the golden values of the host steps. */
class PartsSessionTest {
    private val golden = GoldenParts.read()
    private val host = golden.host
    private val image = Tensor(listOf(1, 1, 1, 1), FloatArray(1))

    /** An entry point takes 10 ms for `core`, 20 for `boxes`, 40 for `masks`; the clock itself 1 ms. */
    private inner class FakeEntryPoints(private val boxes: Int = golden.tensor("proposals").shape[0]) : EntryPoints {
        val calls = mutableListOf<String>()
        val features = mutableListOf<FloatArray>()
        val classes = mutableListOf<List<Int>>()
        var now = 0L
        var closed = false
        private var row = 0

        override fun call(name: String, inputs: Map<String, Tensor>): Map<String, Tensor> {
            calls += name
            return when (name) {
                CORE -> core().also { now += 10 }
                BOXES -> boxes(inputs.getValue(FEATURES)).also { now += 20 }
                else -> masks(inputs.getValue(CLASSES)).also { now += 40 }
            }
        }

        private fun core(): Map<String, Tensor> {
            row = 0
            return golden.core() + (SEMANTIC to Tensor(listOf(1, 1, 1, 1), floatArrayOf(7f)))
        }

        /** Rows of the golden scores; those beyond [boxes], and of empty places, are background. */
        private fun boxes(values: Tensor): Map<String, Tensor> {
            features += values.values.clone()
            fun batch(name: String): Tensor {
                val rows = golden.tensor(name)
                val length = rows.shape[1]
                val used = rows.values.copyOf(boxes * length).copyOf(length * (row + host.boxBatch))
                return Tensor(listOf(host.boxBatch, length), used.copyOfRange(row * length, used.size))
            }
            return mapOf(SCORES to batch("scores"), DELTAS to batch("deltas")).also { row += host.boxBatch }
        }

        /** Each mask is filled with the number of its class. */
        private fun masks(values: Tensor): Map<String, Tensor> {
            val batch = List(host.maskBatch) { i ->
                List(host.things) { values.values[i * host.things + it] }.indexOf(1f)
            }
            classes += batch
            val side = 2 * host.maskSize
            val masks = FloatArray(host.maskBatch * side * side) { batch[it / (side * side)].toFloat() }
            return mapOf(MASKS to Tensor(listOf(host.maskBatch, side, side), masks))
        }

        override fun close() {
            closed = true
        }
    }

    private fun info(name: String, vararg shape: Int) = Manifest.TensorInfo(name, shape.toList(), "float32", "")

    private fun parts(constants: HostConstants = host) = PartsInfo(
        listOf(
            EntryPointInfo(CORE, emptyList(), emptyList()),
            EntryPointInfo(
                BOXES,
                listOf(info(FEATURES, host.boxBatch, host.boxSize * host.boxSize * host.channels)),
                emptyList(),
            ),
            EntryPointInfo(
                MASKS,
                listOf(
                    info(FEATURES, host.maskBatch, host.maskSize, host.maskSize, host.channels),
                    info(CLASSES, host.maskBatch, host.things),
                ),
                emptyList(),
            ),
        ),
        constants,
    )

    private fun session(entryPoints: FakeEntryPoints, constants: HostConstants = host) =
        PartsSession(entryPoints, parts(constants)) { entryPoints.now++ * 1_000_000 }

    @Test
    fun `has the outputs of the whole form`() {
        val outputs = session(FakeEntryPoints()).run(image)
        val count = golden.labels.size
        assertArrayEquals(
            golden.tensor("detected_boxes").values,
            outputs.getValue(BOXES).values.copyOf(4 * count),
        )
        assertArrayEquals(golden.tensor("detected_scores").values, outputs.getValue(SCORES).values.copyOf(count))
        assertEquals(golden.labels.map { it.toFloat() }, outputs.getValue(LABELS).values.take(count))
        val masks = outputs.getValue(MASKS)
        val cells = masks.shape[1] * masks.shape[2]
        assertEquals(
            golden.labels.map { it.toFloat() },
            List(count) { masks.values.slice(it * cells until (it + 1) * cells).distinct().single() },
        )
        assertEquals(listOf(7f), outputs.getValue(SEMANTIC).values.toList())
        assertEquals(listOf(BOXES, SCORES, LABELS, MASKS, SEMANTIC), outputs.keys.toList())
    }

    @Test
    fun `calls the entry points in batches and fills the last one with zeros`() {
        val entryPoints = FakeEntryPoints()
        session(entryPoints).run(image)
        assertEquals(mapOf(CORE to 1, BOXES to 4, MASKS to 3), entryPoints.calls.groupingBy { it }.eachCount())
        val length = host.boxSize * host.boxSize * host.channels
        val rest = 40 - 3 * host.boxBatch
        assertTrue(entryPoints.features.last().drop(rest * length).all { it == 0f })
        assertTrue(entryPoints.features.last().take(rest * length).any { it != 0f })
        assertEquals(golden.labels, entryPoints.classes.flatten())
    }

    @Test
    fun `an image with fewer detections keeps nothing of the one before`() {
        val all = FakeEntryPoints()
        val few = FakeEntryPoints(boxes = 4)
        var current = all
        val session = PartsSession(
            object : EntryPoints {
                override fun call(name: String, inputs: Map<String, Tensor>) = current.call(name, inputs)

                override fun close() = Unit
            },
            parts(),
        )
        session.run(image)
        current = few
        val outputs = session.run(image)
        val count = checkNotNull(session.stages).detections
        assertTrue(count in 1 until golden.labels.size)
        assertTrue(outputs.getValue(SCORES).values.drop(count).all { it == 0f })
        assertTrue(outputs.getValue(BOXES).values.drop(4 * count).all { it == 0f })
        assertTrue(outputs.getValue(LABELS).values.drop(count).all { it == 0f })
        val masks = outputs.getValue(MASKS)
        assertTrue(masks.values.drop(count * masks.shape[1] * masks.shape[2]).all { it == 0f })
        assertEquals(List(-count.mod(-host.maskBatch)) { -1 }, few.classes.last().drop(count.mod(host.maskBatch)))
    }

    @Test
    fun `an image without detections calls no masks`() {
        val entryPoints = FakeEntryPoints(boxes = 0)
        val outputs = session(entryPoints).run(image)
        assertTrue(MASKS !in entryPoints.calls)
        assertTrue(outputs.getValue(SCORES).values.all { it == 0f })
    }

    @Test
    fun `an image without proposals calls core alone`() {
        val anchors = List(3) { listOf(-9e3, 0.0, -8e3, 1.0) }
        val outside = host.copy(levels = host.levels.map { it.copy(anchors = anchors) })
        val entryPoints = FakeEntryPoints()
        val session = session(entryPoints, outside)
        session.run(image)
        assertEquals(listOf(CORE), entryPoints.calls)
        assertEquals(0, session.stages?.proposals)
    }

    /** Reading the clock at the begin and the end of a stage adds 1 ms. */
    @Test
    fun `measures the stages apart, for the last run`() {
        val entryPoints = FakeEntryPoints()
        val session = session(entryPoints)
        assertNull(session.stages)
        repeat(2) { session.run(image) }
        val times = mapOf("core" to 11.0, "proposals" to 5.0, "boxes" to 84.0, "detections" to 4.0, "masks" to 123.0)
        assertEquals(StageTimes(times, proposals = 40, detections = 12), session.stages)
    }

    @Test
    fun `closes the entry points`() {
        val entryPoints = FakeEntryPoints()
        entryPoints.session(parts()).close()
        assertTrue(entryPoints.closed)
    }

    @Test
    fun `medians of stages are those of each stage`() {
        fun times(core: Double, other: Double) = StageTimes(
            Stage.entries.associate { it.label to if (it == Stage.CORE) core else other },
            proposals = 3,
            detections = 1,
        )
        val median = StageTimes.median(listOf(times(1.0, 9.0), times(3.0, 7.0), times(8.0, 8.0)))
        assertEquals(3.0, median.milliseconds["core"])
        assertEquals(8.0, median.milliseconds["masks"])
        assertEquals(3 to 1, median.proposals to median.detections)
    }
}
