package org.lvtmobile.core

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class InstanceTrackerTest {
    private val tracker = InstanceTracker()
    private val size = Size(height = 40, width = 100)

    /** A square object with its class and left edge. */
    private class Thing(val label: Int, val left: Int, val top: Int = 10, val side: Int = 20)

    /** A frame with objects by falling score; later ones are behind. */
    private fun frame(vararg things: Thing, size: Size = this.size): PanopticMap {
        val ids = IntArray(size.area) { VOID }
        val segments = things.mapIndexed { index, thing ->
            val id = thing.label + INSTANCE_OFFSET * (index + 1)
            var area = 0
            for (y in thing.top until thing.top + thing.side) {
                for (x in maxOf(thing.left, 0) until minOf(thing.left + thing.side, size.width)) {
                    if (ids[y * size.width + x] != VOID) continue
                    ids[y * size.width + x] = id
                    area++
                }
            }
            Segment(id, thing.label, area, detection = index)
        }
        return PanopticMap(LabelMap(size, ids), segments, VOID)
    }

    /** Tracks in the order of the frame's objects. */
    private fun update(vararg things: Thing): List<Track> = frame(*things).let { map ->
        val tracks = tracker.update(map)
        map.segments.map { tracks.getValue(it.id) }
    }

    /** The order of instances is the order of their scores, which change from frame to frame. */
    @Test
    fun `objects whose scores swap keep their tracks`() {
        val (left, right) = update(Thing(0, 10), Thing(0, 60))
        assertNotEquals(left, right)
        assertEquals(listOf(right, left), update(Thing(0, 61), Thing(0, 11)))
    }

    /** The middle of the sequence shows one object behind the other. */
    @Test
    fun `objects that cross keep their tracks`() {
        val (first, second) = update(Thing(0, 0, top = 5), Thing(0, 80, top = 15))
        lateinit var last: List<Track>
        for (step in 1..20) last = update(Thing(0, 4 * step, top = 5), Thing(0, 80 - 4 * step, top = 15))
        assertEquals(listOf(first, second), last)
    }

    @Test
    fun `a missing object returns as the same one`() {
        val (track) = update(Thing(0, 0))
        assertEquals(listOf(track), update(Thing(0, 4)))
        repeat(5) { assertEquals(emptyList<Track>(), update()) }
        assertEquals(listOf(track), update(Thing(0, 20)), "it moved on while it was missing")
        repeat(6) { update() }
        assertNotEquals(track.id, update(Thing(0, 52)).single().id, "after too many frames it is another one")
    }

    @Test
    fun `another class at the same place is another object`() {
        val (track) = update(Thing(0, 10))
        assertNotEquals(track.id, update(Thing(1, 10)).single().id)
    }

    @Test
    fun `an object far away is another one`() {
        val (track) = update(Thing(0, 0))
        assertNotEquals(track.id, update(Thing(0, 70)).single().id)
    }

    /** Colours are chosen by slot: with a number that grew for ever, neighbours would get equal colours by chance. */
    @Test
    fun `an object takes the lowest free slot of its class`() {
        assertEquals(listOf(0, 1, 0), update(Thing(0, 0), Thing(0, 30), Thing(1, 60)).map { it.slot })
        repeat(7) { update(Thing(0, 30)) }
        val (kept, new) = update(Thing(0, 30), Thing(0, 70))
        assertEquals(1 to 0, kept.slot to new.slot)
        assertTrue(new.id > 3, "an id is never used again")
    }

    @Test
    fun `a frame of another size starts anew`() {
        val (track) = update(Thing(0, 10))
        val rotated = tracker.update(frame(Thing(0, 10), size = Size(100, 40)))
        assertNotEquals(track.id, rotated.values.single().id)
    }

    private companion object {
        const val VOID = 9
    }
}
